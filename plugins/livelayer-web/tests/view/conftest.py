"""The avatar in a real browser: its modules under the product's policy, its client played."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import livelayer_web
import pytest
from aiohttp import web
from livelayer_web.combining import Modules
from livelayer_web.http.guard import CONTENT_SECURITY_POLICY
from playwright.async_api import Browser, BrowserContext, Page

HERE = Path(__file__).parent
STATIC = Path(livelayer_web.__file__).parent / "static"
MODULES = Modules(STATIC)
SCENES: dict[str, Any] = json.loads((HERE / "scenes.json").read_text())

PAGE = """<!doctype html>
<html lang="en" dir="{dir}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Avatar</title>
<link rel="stylesheet" href="/harness/{css}">
<script type="module" src="/harness/harness.js"></script>
</head>
<body class="{theme}">
<main><h1>Welcome to Acme</h1>{body}</main>
</body>
</html>
"""


def asset(path: str) -> Path | None:
    """The file behind an address of the tests' server."""
    for prefix, root in (("/static/", STATIC), ("/harness/", HERE / "harness")):
        if path.startswith(prefix):
            file = root / path.removeprefix(prefix)
            return file if file.is_file() else None
    return None


class Site:
    """Serves the harness as the product does: the same policy, nothing but our own files.

    A server of its own, not Playwright's routes: those would turn the browser's cache off, and
    every visit loads some sixty files.
    """

    def __init__(self) -> None:
        self.page = ""
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = {"content-security-policy": CONTENT_SECURITY_POLICY}
        if request.path in ("/", "/other"):
            return web.Response(text=self.page, content_type="text/html", headers=headers)
        if request.path == "/favicon.ico":
            return web.Response(status=204)
        headers["cache-control"] = "max-age=3600"
        prefix, _, path = request.path.partition("/static/")
        combined = MODULES.combined(path) if path and not prefix else None
        if combined is not None:
            return web.Response(
                body=combined.plain, content_type="text/javascript", headers=headers
            )
        file = asset(request.path)
        if file is None:
            return web.Response(status=404)
        kind = mimetypes.guess_type(file.name)[0] or "text/plain"
        return web.Response(body=file.read_bytes(), content_type=kind, headers=headers)


@pytest.fixture(scope="module")
async def site(anyio_backend: str) -> AsyncGenerator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", site.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    await runner.cleanup()


class Visit(Protocol):
    """Opens the harness with these elements on its page; what breaks the policy fails the test."""

    async def __call__(
        self,
        body: str = ...,
        *,
        scene: str | None = None,
        css: str = "page.css",
        direction: str = "ltr",
        theme: str = "light",
        page: Page | None = None,
        **options: Any,
    ) -> Page: ...


PANEL = '<livelayer-avatar mode="embedded" class="tall"></livelayer-avatar>'
BUBBLE = '<livelayer-avatar mode="widget"></livelayer-avatar>'
SESSION = "<livelayer-session></livelayer-session>"


async def play(page: Page, name: str) -> None:
    """Bring every client of the page into a scene of `scenes.json`."""
    scene = dict(SCENES["scenes"][name])
    if scene.pop("session", True) is False:
        return
    events = scene.pop("events", ())
    debug = scene.pop("debug", False)
    choices = scene.pop("choices", None)
    attributes = scene.pop("attributes", {})
    await page.evaluate(
        """async ([base, scene, events, debug, choices, attributes]) => {
            // Lines arrive while the page is there: those of before it are no captions.
            const media = {...base.media, ...scene.media};
            harness.play({...base, media, state: {...base.state, transcript: []}});
            await harness.painted();
            harness.play({state: {transcript: base.state.transcript}});
            if (scene.link?.retryAt) scene.link.retryAt += Date.now();
            harness.play(scene);
            for (const surface of document.querySelectorAll("livelayer-avatar")) {
                Object.assign(surface, choices ?? {});
                for (const name of surface.staged ?? []) surface.removeAttribute(name);
                surface.staged = Object.keys(attributes);
                for (const name of surface.staged) surface.setAttribute(name, attributes[name]);
                surface.toggleAttribute("debug", debug);
            }
            await harness.painted();
            for (const [index, event] of events.entries()) {
                const time = `2026-11-25T10:00:0${index}.120000Z`;
                harness.client.tell(event, {sequence: index + 5, time});
            }
            await harness.painted();
        }""",
        [SCENES["base"], scene, list(events), debug, choices, attributes],
    )
    await page.wait_for_function(
        """() => [...document.querySelectorAll("livelayer-avatar")].every((one) =>
            [...one.shadowRoot.querySelectorAll("img")].every((image) => image.complete))"""
    )
    stream = scene.get("media", SCENES["base"]["media"]).get("stream", "@picture")
    live = scene.get("state", {}).get("connection_state", "connected") == "connected"
    live = live and scene.get("link", {}).get("phase") != "ended"
    live = live and scene.get("state", {}).get("agent_active", True)
    if stream and live:
        await page.wait_for_function(
            """() => [...document.querySelectorAll("livelayer-avatar")].every((one) => {
                const root = one.shadowRoot;
                if (root.querySelector(".panel").hidden) return true;
                return root.querySelector(".stage").dataset.picture === "live";
            })"""
        )


@pytest.fixture
async def visit(browser: Browser, new_context: Any, site: Site) -> AsyncGenerator[Visit]:
    """Opens harness pages; their faults, and violations of the policy, fail the test."""
    pages: list[Page] = []
    faults: list[str] = []

    async def visit(
        body: str = SESSION + PANEL,
        *,
        scene: str | None = None,
        css: str = "page.css",
        direction: str = "ltr",
        theme: str = "light",
        page: Page | None = None,
        **options: Any,
    ) -> Page:
        if page is None:
            options.setdefault("viewport", {"width": 1280, "height": 800})
            options.setdefault("color_scheme", theme)
            context: BrowserContext = await new_context(browser, **options)
            page = await context.new_page()
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on(
                "console",
                lambda told: faults.append(told.text) if told.type == "error" else None,
            )
            pages.append(page)
        site.page = PAGE.format(body=body, css=css, dir=direction, theme=theme)
        await page.goto(f"{site.url}/")
        await page.wait_for_function("() => window.harness !== undefined")
        if scene is not None:
            await play(page, scene)
        return page

    yield visit
    for page in pages:
        if not page.is_closed():
            faults += await page.evaluate("() => harness.violations")
    assert not faults, faults


@pytest.fixture
def scenes() -> list[str]:
    return list(SCENES["scenes"])


@pytest.fixture
def enact() -> Callable[[Page, str], Awaitable[None]]:
    return play
