"""Many tabs behind a real nginx share one event stream; where it holds streams back, they poll."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from livelayer_web import WebSurface
from playwright.async_api import Browser, Page

from livelayer_bus import Session
from livelayer_bus.messages import ALL
from livelayer_bus.testing import PATIENCE, ScriptedRoom, ScriptedRooms, polled

from .conftest import RunProxy

pytestmark = pytest.mark.anyio

PAGES: Final = Path(__file__).parents[1] / "client" / "pages"
TABS: Final = 9  # a browser has six connections to a server of HTTP/1.1
LINES: Final = 20

STREAMING: Final = """server {{
    listen 127.0.0.1:@port@;
    location / {{
        proxy_pass http://{0};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Connection "";
    }}
}}"""
HOLDING: Final = """server {{
    listen 127.0.0.1:@port@;
    gzip on;
    gzip_min_length 1;
    gzip_types text/event-stream application/json;
    location / {{
        proxy_pass http://{0};
        proxy_set_header Host $http_host;
        proxy_buffering on;
        proxy_buffer_size 64k;
        proxy_buffers 16 64k;
        proxy_busy_buffers_size 128k;
        proxy_ignore_headers X-Accel-Buffering;
    }}
}}"""

NOTE: Final = """
document.addEventListener("livelayer-session-ready", ({ detail: { client } }) => {
  window.client = client;
  window.places = [];
  window.phases = [];
  window.carried = [];
  client.addEventListener("event", ({ line }) => places.push(line.sequence));
  client.addEventListener("link", () => phases.push(client.link.phase));
  client.addEventListener("command", ({ detail }) => carried.push(detail.command));
});"""


@dataclass
class Site:
    """A session's pages behind a proxy."""

    url: str
    surface: WebSurface
    session: Session
    room: ScriptedRoom
    browser: Browser

    async def tabs(self, number: int, stack: AsyncExitStack) -> list[Page]:
        """Tabs of one browser, opened one after the other; each is live."""
        context = await self.browser.new_context()
        stack.push_async_callback(context.close)
        await context.add_init_script(NOTE)
        pages: list[Page] = []
        for _ in range(number):
            page = await context.new_page()
            await page.goto(self.url, timeout=PATIENCE * 1000)
            pages.append(page)
            await until(page, "client.link.phase === 'live' && client.info")
        return pages

    def streams(self) -> Any:
        """The statistics of the event streams."""
        return self.surface.statistics().streams


@pytest.fixture
def behind(run_proxy: RunProxy, scripted_rooms: ScriptedRooms, browser: Browser) -> Any:
    """Shows a connected session behind nginx: `async with behind(servers) as site`."""

    @asynccontextmanager
    async def showing(servers: str) -> AsyncGenerator[Site]:
        async with Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms) as session:
            surface = WebSurface(port=0, site=PAGES)
            session.mount(surface, key="web", capabilities=ALL)
            upstream = urlsplit(await surface.wait_url()).netloc
            await session.connect()
            room = scripted_rooms.rooms[-1]
            room.agent_joins()
            async with run_proxy("nginx", servers.format(upstream)) as proxy:
                url = f"http://127.0.0.1:{proxy.port}"
                yield Site(url, surface, session, room, browser)

    return showing


async def until(page: Page, expression: str) -> Any:
    """Wait until an expression is true on a page."""

    async def look() -> Any:
        return await page.evaluate(f"window.client !== undefined && ({expression})")

    try:
        return await polled(look)
    except TimeoutError:
        state = await page.evaluate(
            "JSON.stringify([client.link, client.joined?.viewer, client.polling, phases])"
        )
        raise AssertionError(f"never true: {expression}; {state}") from None


async def check_in_order(page: Page) -> None:
    """Every event since the page joined was told once, in order."""
    told: list[int] = await page.evaluate("places")
    assert told == list(range(told[0], told[-1] + 1))


async def test_nine_tabs_of_one_browser_share_a_stream_and_none_is_dropped(behind: Any) -> None:
    async with behind(STREAMING) as site, AsyncExitStack() as stack:
        pages = await site.tabs(TABS, stack)
        await polled(lambda: (site.streams().now, site.streams().shared) == (1, TABS - 1))
        for number in range(LINES):
            site.room.transcribes(f"{number}", f"line {number}")
            for page in pages:
                await until(page, f"client.state.transcript.at(-1)?.text === 'line {number}'")
        for page in pages:
            await check_in_order(page)
            assert await page.evaluate("client.info.viewers") == TABS
            assert await page.evaluate("client.polling") is False

        # A command goes to the tab used last, and its person can type.
        await pages[-1].mouse.click(5, 5)
        await until(pages[-1], "client.info.active")
        await pages[-1].evaluate("client.sendMessage('typed in the last tab')")
        assert [text.text for text in site.room.sent_texts] == ["typed in the last tab"]
        site.room.agent_says({"type": "scroll_page", "direction": "down"})
        await until(pages[-1], "carried.includes('scroll_page')")
        assert [await page.evaluate("carried.length") for page in pages[:-1]] == [0] * (TABS - 1)

        # The tab that reads is closed: another one reads from where it was.
        await pages.pop(0).close()
        site.room.transcribes("after", "after the first tab")
        for page in pages:
            await until(page, "client.state.transcript.at(-1)?.text === 'after the first tab'")
            await check_in_order(page)
        await polled(lambda: (site.streams().now, site.streams().shared) == (1, TABS - 2))
        statistics = site.surface.statistics().viewers
        assert statistics is not None
        assert (statistics.now, statistics.peak) == (TABS - 1, TABS)
        assert (statistics.joined, statistics.fell_silent) == (TABS, 0)


async def test_a_tab_that_reads_and_freezes_is_replaced(behind: Any) -> None:
    """Its script stands still, and its connections stay open."""
    async with behind(STREAMING) as site, AsyncExitStack() as stack:
        first, *others = await site.tabs(3, stack)
        debugger = await first.context.new_cdp_session(first)
        await debugger.send("Debugger.enable")
        await debugger.send("Debugger.pause")  # at its next statement
        site.room.transcribes("1", "while it is frozen")
        for page in others:
            await until(page, "client.state.transcript.at(-1)?.text === 'while it is frozen'")
            await check_in_order(page)
        await polled(lambda: (site.streams().now, site.streams().shared) == (2, 1))
        await debugger.send("Debugger.resume")
        await debugger.send("Debugger.disable")
        await until(first, "client.state.transcript.at(-1)?.text === 'while it is frozen'")
        await polled(lambda: (site.streams().now, site.streams().shared) == (1, 2))
        site.room.transcribes("2", "afterwards")
        for page in (first, *others):
            await until(page, "client.state.transcript.at(-1)?.text === 'afterwards'")
            await check_in_order(page)


async def test_tabs_behind_a_proxy_that_holds_streams_back_poll(behind: Any) -> None:
    async with behind(HOLDING) as site, AsyncExitStack() as stack:
        pages = await site.tabs(3, stack)
        assert [await page.evaluate("client.polling") for page in pages] == [True, False, False]
        for page in pages:
            # Nobody is shown a failure.
            assert await page.evaluate("phases") == ["live"]
        for number in range(LINES):
            site.room.transcribes(f"{number}", f"line {number}")
            for page in pages:
                await until(page, f"client.state.transcript.at(-1)?.text === 'line {number}'")
        await pages[-1].mouse.click(5, 5)
        await until(pages[-1], "client.info.active")
        site.room.agent_says({"type": "scroll_page", "direction": "down"})
        await until(pages[-1], "carried.includes('scroll_page')")
        for page in pages:
            await check_in_order(page)
        assert site.streams().polls > 0

        # A page that is loaded again in such a tab does not try a stream first.
        await pages[0].reload()
        await until(pages[0], "client.link.phase === 'live' && client.info")
        site.room.transcribes("reloaded", "after a reload")
        for page in pages:
            await until(page, "client.state.transcript.at(-1)?.text === 'after a reload'")
            await check_in_order(page)
        statistics = site.surface.statistics().viewers
        assert statistics is not None
        assert (statistics.now, statistics.fell_silent) == (3, 0)
