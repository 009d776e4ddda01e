"""The surface as its application has it: mounted, restarted, in an app, from a file, closed."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest
from livelayer_web import PortTakenError, WebSurface
from livelayer_web.http.server import serving
from starlette.applications import Starlette
from starlette.routing import Mount

from livelayer_bus import BusyError, MisuseError, Session, SurfaceFailed
from livelayer_bus.config import load_config, load_surface
from livelayer_bus.testing import (
    PATIENCE,
    ManualClock,
    ScriptedRooms,
    check_surface,
    no_leaked_tasks,
    polled,
    settle,
)

from .scripted import Page, Serve, Web, client_of, code_of

pytestmark = pytest.mark.anyio


async def test_it_keeps_the_contract_of_surfaces() -> None:
    await check_surface(lambda: WebSurface(port=0))


async def test_in_an_application_it_keeps_the_contract_of_surfaces() -> None:
    await check_surface(lambda: WebSurface(port=None), capabilities=["navigate"])


async def test_its_address_is_known_while_it_is_served(web: Web) -> None:
    url = web.surface.url
    assert url is not None
    assert url == await web.surface.wait_url()
    assert url in repr(web.surface)
    await web.mounted.unmount()
    assert web.surface.url is None
    with pytest.raises(httpx.ConnectError):
        await web.join()


@pytest.mark.parametrize(
    "wrong",
    ["assistant", "/assistant/", "//evil.example.com", "/a b", "/livelayer", "/livelayer/x"],
)
def test_a_root_path_is_a_path_that_is_not_its_own(wrong: str) -> None:
    with pytest.raises(MisuseError, match="root_path"):
        WebSurface(port=0, root_path=wrong)


FILES = ["/livelayer/js/livelayer.js", "/livelayer/embed"]


@pytest.mark.parametrize("prefix", ["", "/assistant"], ids=["stripped", "passed on"])
async def test_a_proxy_may_strip_its_prefix_or_pass_it_on(serve: Serve, prefix: str) -> None:
    async with serve(root_path="/assistant", embed_origins=["https://shop.example"]) as web:
        base = f"{web.surface.url}{prefix}"
        async with httpx.AsyncClient(base_url=f"{base}/livelayer/") as http:
            for file in ["/", *FILES]:
                assert (await http.get(f"{base}{file}")).status_code == 200
            shop = {"origin": "https://shop.example"}
            assert (await http.get("js/embed.js", headers=shop)).status_code == 200
            assert (await http.get("embed", headers=shop)).status_code == 403
            page = Page(http, (await http.post("viewers", json={})).json())
            assert (await page.beat()).status_code == 204


async def test_an_applications_root_path_counts() -> None:
    app = Starlette(routes=[Mount("/livelayer", WebSurface(port=None).asgi)])
    transport = httpx.ASGITransport(app, root_path="/assistant")
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        for file in FILES:
            assert (await http.get(f"/assistant{file}")).status_code == 200


def test_in_an_application_the_root_path_is_the_applications() -> None:
    with pytest.raises(MisuseError, match="root_path"):
        WebSurface(port=None, root_path="/assistant")


async def test_a_port_that_is_taken_is_named_in_the_event() -> None:
    rooms = ScriptedRooms()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
            with session.subscribe(SurfaceFailed) as faults:
                mounted = session.mount(WebSurface(port=port), key="web", on_fault="raise")
                with anyio.fail_after(PATIENCE):
                    fault = await anext(faults)
                assert f"127.0.0.1:{port}" in fault.error
                assert "PortTakenError" in fault.error
                with pytest.raises(Exception, match=str(port)) as caught:
                    await mounted.wait()
                assert isinstance(caught.value.__cause__, PortTakenError)


async def test_a_fault_inside_is_seen_as_what_it_was(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as web:
        faults = web.session.subscribe(SurfaceFailed)
        with faults:

            async def broken(_: object) -> None:
                raise LookupError("the encoder is gone")

            monkeypatch.setattr("livelayer_web.media.hub.Media.run", broken)
            await web.mounted.unmount()
            web.session.mount(web.surface, key="again", on_fault="unmount")
            with anyio.fail_after(PATIENCE):
                assert (await anext(faults)).error == "LookupError: the encoder is gone"


async def test_it_is_mounted_once_at_a_time(web: Web) -> None:
    with web.session.subscribe(SurfaceFailed) as faults:
        web.session.mount(web.surface, key="twice", on_fault="unmount")
        with anyio.fail_after(PATIENCE):
            assert BusyError.__name__ in (await anext(faults)).error
    assert (await web.join()).status_code == 201


async def test_closing_the_session_with_open_streams_ends_them(serve: Serve) -> None:
    said: list[str] = []
    async with no_leaked_tasks(PATIENCE), serve() as web:
        pages = [await web.page() for _ in range(8)]
        async with anyio.create_task_group() as group:

            async def watch(page: Page) -> None:
                async with page.events() as events:
                    await events.next("snapshot")
                    said.append((await events.rest())[-1].event)

            for page in pages:
                group.start_soon(watch, page)
            await polled(lambda: all(info.streaming for info in web.surface.viewers()))
            await web.session.aclose()
        assert said == ["bye"] * 8
        assert web.mounted.status == "unmounted"


async def test_in_an_application_it_has_no_server_of_its_own(clock: ManualClock) -> None:
    surface = WebSurface(port=None, clock=clock)
    app = Starlette(routes=[Mount("/inside/livelayer", surface.asgi)])
    rooms = ScriptedRooms(agent="agent")
    async with client_of(app, "http://localhost/inside/livelayer/") as http:
        unmounted = await http.post("viewers", json={})
        assert code_of(unmounted) == (503, "unmounted")
        assert unmounted.headers["retry-after"]
        assert (await http.get("js/livelayer.js")).status_code == 200
        async with Session("agt", tokens=rooms.tokens, room=rooms, clock=clock) as session:
            mounted = session.mount(surface, key="web")
            await settle()
            assert surface.url is None
            page = Page(http, (await http.post("viewers", json={})).json())
            assert (await page.beat()).status_code == 204
            await mounted.unmount()
            assert code_of(await page.beat()) == (503, "unmounted")
            with pytest.raises(MisuseError):
                await surface.wait_url()
    with pytest.raises(MisuseError, match="port=None"):
        _ = WebSurface(port=0).asgi


async def test_in_an_application_that_is_served_streams_end_when_it_is_unmounted(
    clock: ManualClock,
) -> None:
    surface = WebSurface(port=None, clock=clock)
    app = Starlette(routes=[Mount("/livelayer", surface.asgi)])
    rooms = ScriptedRooms(agent="agent")
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=f"{url}/livelayer/") as http,
        Session("agt", tokens=rooms.tokens, room=rooms, clock=clock) as session,
    ):
        session.mount(surface, key="web")
        await settle()
        page = Page(http, (await http.post("viewers", json={})).json())
        async with page.events() as events:
            await events.next("snapshot")
            await session.aclose()
            assert (await events.rest())[-1].data == {"reason": "unmounted"}


async def test_a_site_lies_around_it(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>home")
    async with serve(site=tmp_path) as web:
        answer = await web.http.get(f"{web.surface.url}/")
        assert (answer.status_code, answer.text) == (200, "<p>home")
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert (await web.join()).status_code == 201


async def test_without_a_site_one_page_shows_the_agent(web: Web) -> None:
    answer = await web.http.get(f"{web.surface.url}/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "<livelayer-avatar" in answer.text
    assert (await web.http.get(f"{web.surface.url}/start.css")).status_code == 200


APP = """
import asyncio
from contextlib import asynccontextmanager

import uvicorn
from livelayer_web import WebSurface
from starlette.applications import Starlette
from starlette.routing import Mount

from livelayer_bus import Session
from livelayer_bus.testing import ScriptedRooms

surface = WebSurface(port=None)

@asynccontextmanager
async def lifespan(app):
    rooms = ScriptedRooms()
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        session.mount(surface, key="web")
        yield

app = Starlette(routes=[Mount("/livelayer", surface.asgi)], lifespan=lifespan)
config = uvicorn.Config(app, port=0, log_level="info")
uvicorn.Server(config).run()
"""


ON_DEMAND = """
import sys
from contextlib import asynccontextmanager
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from livelayer_bus import Session
from livelayer_bus.testing import ScriptedRooms
from livelayer_web import SessionsOnDemand, WebSurface

@asynccontextmanager
async def own(agent):
    rooms = ScriptedRooms()
    try:
        async with Session(agent, tokens=rooms.tokens, room=rooms) as session:
            await session.connect()
            yield session
    finally:
        print("closed", session.state.connection_state, file=sys.stderr)

surface = WebSurface(port=None, sessions=SessionsOnDemand(own, agents=["lumi"]))
app = Starlette(routes=[Mount("/livelayer", surface.asgi)])
config = uvicorn.Config(app, port=0, log_level="info")
uvicorn.Server(config).run()
"""


@asynccontextmanager
async def application(program: str) -> AsyncGenerator[tuple[Process, str]]:
    """A program that runs uvicorn, and its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        address = None
        with anyio.fail_after(PATIENCE):
            while address is None:
                line = (await process.stderr.readline()).decode()
                assert line, "the application did not start"
                address = re.search(r"http://127\.0\.0\.1:[0-9]+", line)
        yield process, address[0]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ends_with_the_server(process: Process, http: httpx.AsyncClient) -> None:
    page = Page(http, (await http.post("viewers", json={})).json())
    async with page.events() as events:
        await events.next("snapshot")
        process.send_signal(signal.SIGINT)
        assert (await events.rest())[-1].data == {"reason": "unmounted"}
    with anyio.fail_after(PATIENCE):
        await process.wait()


async def test_an_applications_server_is_not_held_up_by_open_streams() -> None:
    async with (
        application(APP) as (process, url),
        httpx.AsyncClient(base_url=f"{url}/livelayer/") as http,
    ):
        await ends_with_the_server(process, http)


async def test_sessions_on_demand_are_closed_with_a_server_that_knows_nothing_of_them() -> None:
    async with application(ON_DEMAND) as (process, url):
        async with httpx.AsyncClient(base_url=f"{url}/livelayer/") as http:
            opened = await http.post("sessions", json={"agent_id": "lumi"})
            base = opened.json()["base"]
        async with httpx.AsyncClient(base_url=f"{url}/livelayer/{base}/") as http:
            await ends_with_the_server(process, http)
        assert process.stderr is not None
        assert b"closed disconnected" in await process.stderr.read()


def test_the_name_in_livelayer_toml_finds_it() -> None:
    assert load_surface("web") is WebSurface


async def test_it_is_mounted_from_a_file_with_plain_values(tmp_path: Path) -> None:
    file = tmp_path / "livelayer.toml"
    file.write_text(
        f"""
        agent_id = "agt_lumi"
        [tokens]
        kind = "literal"
        url = "ws://127.0.0.1:9"
        token = "t"
        [surfaces.web]
        capabilities = ["navigate"]
        [surfaces.web.options]
        port = 0
        host = "127.0.0.1"
        site = "{tmp_path}"
        secret = {{ env = "VIEWER_SECRET" }}
        name = "kiosk"
        allow_origins = ["https://shop.example.com"]
        allow_hosts = ["kiosk.example.com"]
        agents = [{{ id = "agt_lumi", name = "Lumi" }}]
        media = {{ max_connections = 3 }}
        """
    )
    config = load_config(file)
    environ = {"VIEWER_SECRET": "a secret of the tests, thirty-two bytes"}
    async with config.build_session(environ) as session:
        [mounted] = config.mount_surfaces(session, environ)
        await settle()
        assert (mounted.key, mounted.status) == ("web", "running")


async def test_what_a_file_says_wrong_is_told_without_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "livelayer.toml"
    file.write_text(
        """
        agent_id = "agt_lumi"
        base_url = "https://api.example.com"
        [surfaces.web.options]
        host = "0.0.0.0"
        secret = "a secret of the tests, thirty-two bytes"
        """
    )
    config = load_config(file)
    async with config.build_session({}) as session:
        with pytest.raises(MisuseError, match="allow_origins") as caught:
            config.mount_surfaces(session, {})
    assert "thirty-two" not in str(caught.value)


async def test_nothing_is_left_after_many_mounts(clock: ManualClock) -> None:
    rooms = ScriptedRooms(agent="agent")
    surface = WebSurface(port=0, clock=clock)
    async with (
        no_leaked_tasks(PATIENCE),
        Session("agt", tokens=rooms.tokens, room=rooms, clock=clock) as session,
    ):
        ports: set[str] = set()
        for _ in range(5):
            mounted = session.mount(surface, key="web", on_fault="raise")
            with anyio.fail_after(PATIENCE):
                ports.add(await surface.wait_url())
            await mounted.unmount()
            assert clock.sleepers == 0
        assert len(ports) == 1
