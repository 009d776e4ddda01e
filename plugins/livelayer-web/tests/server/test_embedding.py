"""What pages of other sites get over HTTP for a widget in a frame, and what they do not."""

from __future__ import annotations

import httpx
import pytest
from livelayer_web import WebSurface
from starlette.applications import Starlette
from starlette.routing import Mount

from livelayer_bus import MisuseError

from .scripted import Serve

pytestmark = pytest.mark.anyio

SHOP = "https://shop.example.com"
JS = "/livelayer/js/embed/host.js"


async def test_the_allowed_sites_are_in_the_policy_of_the_page(serve: Serve) -> None:
    origins = ["https://Shop.example.com:443", "http://[::1]:3000"]
    async with (
        serve(embed_origins=origins) as web,
        httpx.AsyncClient(base_url=str(web.surface.url)) as client,
    ):
        answer = await client.get("/livelayer/embed")
        policy = answer.headers["content-security-policy"]
        assert policy.endswith(f"frame-ancestors 'self' http://[::1]:3000 {SHOP}")
        assert "script-src 'self'" in policy
        assert f'data-origins="http://[::1]:3000 {SHOP}"' in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        other = await client.get("/")
        assert other.headers["content-security-policy"].endswith("frame-ancestors 'self'")


async def test_they_load_modules_and_ask_for_nothing(serve: Serve) -> None:
    async with (
        serve(embed_origins=[SHOP]) as web,
        httpx.AsyncClient(base_url=str(web.surface.url), headers={"origin": SHOP}) as client,
    ):
        answer = await client.get(JS)
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        for method, path in (
            ("GET", "/"),
            ("GET", "/js/embed.js"),
            ("GET", "/livelayer/embed"),
            ("GET", "/livelayer/events"),
            ("POST", "/livelayer/viewers"),
            ("POST", JS),
            ("OPTIONS", JS),
        ):
            refused = await client.request(method, path)
            assert (refused.status_code, refused.json()["code"]) == (403, "origin"), path
            assert "access-control-allow-origin" not in refused.headers
        foreign = await client.get(JS, headers={"origin": "https://evil.example.com"})
        assert foreign.status_code == 403


async def test_in_an_application_its_own_modules_are_meant() -> None:
    surface = WebSurface(port=None, embed_origins=[SHOP])
    app = Starlette(routes=[Mount("/agent", surface.asgi)])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", headers={"origin": SHOP}
    ) as client:
        assert (await client.get("/agent/js/embed/host.js")).status_code == 200
        assert (await client.get("/agent/embed")).status_code == 403
        assert (await client.get("/agent/livelayer/js/embed.js")).status_code == 403


async def test_without_them_nothing_leaves_the_origin(serve: Serve) -> None:
    async with serve() as web, httpx.AsyncClient(base_url=str(web.surface.url)) as client:
        answer = await client.get(JS)
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        page = await client.get("/livelayer/embed")
        assert page.headers["content-security-policy"].endswith("frame-ancestors 'self'")
        assert (await client.get(JS, headers={"origin": SHOP})).status_code == 403


@pytest.mark.parametrize("origin", ["*", "shop.example.com", f"{SHOP}/", "null"])
def test_an_origin_is_named_exactly(origin: str) -> None:
    with pytest.raises(MisuseError, match="embed_origins"):
        WebSurface(embed_origins=[origin])
