"""Pages of a real Chromium that play the media and report how old each frame is when shown."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, final

import msgspec
from playwright.async_api import Browser, Page, Route, ViewportSize, async_playwright

from livelayer_bus.errors import BrokenError

ADDRESS: Final = "http://localhost/"  # answered by the benchmark itself
SCRIPT: Final = (Path(__file__).parent / "page.js").read_text()
DOCUMENT: Final = (
    "<!doctype html><title>web</title><video muted autoplay playsinline></video>"
    '<audio autoplay></audio><script type="module" src="page.js"></script>'
)
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
)
WINDOW: Final = ViewportSize(width=1300, height=760)  # device pixels; shows 720p whole


class Track(msgspec.Struct, frozen=True):
    """The browser's own statistics of one track, over the measured time."""

    buffer: float
    """Mean milliseconds in the jitter buffer."""
    lost: int
    """Packets."""
    dropped: int
    """Frames that were decoded, or not, and never shown."""
    frames: int
    """Frames decoded."""


class Measured(msgspec.Struct, frozen=True):
    """One page, over the measured time."""

    ages: list[float]
    """Of each frame when it was shown, in milliseconds since it was painted."""
    unread: int
    """Frames whose stamp could not be read."""
    audio: Track
    video: Track


@final
class PlayingPage:
    """A page that plays."""

    def __init__(self, page: Page, times: dict[str, float]) -> None:
        self._page = page
        self.times = times
        """Milliseconds from the start to each step: answered, connected, first frame."""

    async def begin(self) -> None:
        """Measure from now on."""
        await self._page.evaluate("begin()")

    async def finish(self) -> Measured:
        """What was measured."""
        return msgspec.convert(await self._page.evaluate("finish()"), Measured, strict=False)


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """A browser for the length of the block.

    Raises:
        BrokenError: this machine has no Chromium.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise BrokenError("no Chromium on this machine: apt-get install chromium", retryable=False)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, headless=True, args=list(FLAGS)
        )
        yield browser
        await browser.close()


async def open_page(browser: Browser, answer: Callable[[str], Awaitable[str]]) -> PlayingPage:
    """Have a new page play what answers its offer; returns with its first frame."""

    async def serve(route: Route) -> None:
        if route.request.url.endswith(".js"):
            await route.fulfill(body=SCRIPT, content_type="text/javascript")
        else:
            await route.fulfill(body=DOCUMENT, content_type="text/html")

    context = await browser.new_context(viewport=WINDOW)
    page = await context.new_page()
    await page.expose_function("whep", answer)
    await page.route(f"{ADDRESS}**", serve)
    await page.goto(ADDRESS)
    # The page's wall clock and ours are the same machine's; the stamps are on the monotonic one.
    offset = (time.time() - time.monotonic()) * 1000
    return PlayingPage(page, await page.evaluate("(offset) => play(offset)", offset))
