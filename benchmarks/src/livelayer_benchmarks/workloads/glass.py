"""How old a frame is on the glass of a real browser, and how soon the first one is there.

One page of Chromium for each size plays the media and reads the stamp of every frame it shows.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final, final

import msgspec
from livelayer_web import MediaSettings, Quality
from playwright.async_api import Browser, Page, Route, ViewportSize, async_playwright

from livelayer_bus.errors import BrokenError

from .. import harness
from ..rivals.web.livelayer_web import session_media
from .web.server import FPS, push

GLASS_GOAL: Final = 60.0  # ms, p50 at 720p
SPARE_SECONDS: Final = 60.0  # a case may take over its measured time
SIZES: Final = {"360p": (640, 360, 600_000), "720p": (1280, 720, 1_800_000)}
ADDRESS: Final = "http://localhost/"  # answered by the benchmark itself
SCRIPT: Final = Path(__file__).with_suffix(".js").read_text()
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


class Plan(msgspec.Struct, frozen=True):
    """How much to measure, seconds each: about a minute."""

    warm_up: float = 5.0
    """From the first frame on."""
    seconds: float = 15.0


class Case(msgspec.Struct, frozen=True):
    """One size; times in milliseconds."""

    rival: harness.Name
    """"360p" or "720p"."""
    answered: Annotated[float, harness.Column("answer", ".1f")]
    """From the offer to the answer."""
    first_frame: Annotated[float, harness.Column("first frame", ".1f")]
    """From the page's beginning to its first frame."""
    p50: harness.Milliseconds
    """Painted to shown."""
    p95: harness.Milliseconds
    audio_buffer: Annotated[float, harness.Column("audio buffer", ".1f")]
    """Mean time of audio in the browser's jitter buffer."""
    video_buffer: Annotated[float, harness.Column("video buffer", ".1f")]
    frames: Annotated[float, harness.Column("fps", ".1f")]
    """Shown a second."""
    unread: int
    """Frames whose stamp could not be read."""


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    size: str
    plan: Plan


class Measured(msgspec.Struct, frozen=True):
    """One page, over the measured time."""

    ages: list[float]
    """Of each frame when it was shown, in milliseconds since it was painted."""
    unread: int
    """Frames whose stamp could not be read."""
    audio_buffer: float
    """Mean milliseconds in the browser's jitter buffer."""
    video_buffer: float


@final
class PlayingPage:
    """A page that plays."""

    def __init__(self, page: Page, times: dict[str, float]) -> None:
        self._page = page
        self.times = times
        """Milliseconds from the start to each step: offered, answered, first frame."""

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


async def measure(job: Job) -> Case:
    """One case, with a browser and a session of its own."""
    width, height, bitrate = SIZES[job.size]
    settings = MediaSettings(ladder=(Quality(job.size, height, bitrate, FPS),))
    async with (
        session_media(settings, width, height) as media,
        harness.running(push(media, lambda: None, width, height)),
        chromium() as browser,
    ):
        page = await open_page(browser, media.answer)
        await asyncio.sleep(job.plan.warm_up)
        await page.begin()
        await asyncio.sleep(job.plan.seconds)
        result = await page.finish()
    ages = sorted(result.ages)
    return Case(
        rival=job.size,
        answered=round(page.times["answered"] - page.times["offered"], 2),
        first_frame=round(page.times["first frame"], 2),
        p50=round(harness.percentile(ages, 0.50), 2),
        p95=round(harness.percentile(ages, 0.95), 2),
        audio_buffer=round(result.audio_buffer, 2),
        video_buffer=round(result.video_buffer, 2),
        frames=round((len(ages) + result.unread) / job.plan.seconds, 2),
        unread=result.unread,
    )


def run(plan: Plan, _url: str | None, _rivals: list[harness.Rival]) -> harness.Measured:
    """Measure every size, one after the other, each in a fresh process."""
    sizes: list[harness.Row[Case]] = harness.rows(map(harness.Rival, SIZES))
    seconds = plan.warm_up + plan.seconds + SPARE_SECONDS

    def measure_size(row: harness.Row[Case]) -> Case:
        return harness.ask(measure, Job(row.rival.name, plan), seconds)

    harness.run_rounds("glass", sizes, 1, measure_size)
    cases = [case for row in sizes for case in row.answers]
    goal = harness.at_most("720p, painted to shown, p50", GLASS_GOAL, cases[-1].p50, " ms")
    return harness.Measured(cases, [goal])


AREA = harness.Area(
    name="glass",
    plan=Plan(),
    quick=Plan(warm_up=2.0, seconds=4.0),
    run=run,
    tables=(harness.Table("one page of Chromium, in ms", Case),),
    charts=(
        (
            harness.Bars("glass: painted to shown, p50, ms", Case, "p50", ours=True),
            harness.Bars("glass: first frame, ms", Case, "first_frame", ours=True),
        ),
    ),
    server="none",
    packages=("aiortc", "av", "playwright"),
)
