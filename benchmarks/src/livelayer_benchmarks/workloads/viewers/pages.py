"""The pages of one case, in a browser in a process of their own."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec
from playwright.async_api import Browser, Page

from ... import harness
from ..glass import SCRIPT, WINDOW, Measured, chromium

PAGE_MS: Final = 60_000
PLAYED: Final = "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames"


class Job(msgspec.Struct, frozen=True):
    """What the pages do."""

    pages: list[str]
    """Their addresses."""
    warm_up: float
    seconds: float
    read: bool
    """Whether they read when each frame was painted."""
    livekit_url: str = ""
    tokens: dict[str, str] = {}
    """With what a page joins the room by itself, by its address."""


class Seen(msgspec.Struct, frozen=True):
    """What one page showed."""

    frames: float
    """A second."""
    ages: list[float]
    """Painted to shown, in milliseconds; empty if nothing was read."""


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What the pages showed, in the order of the job."""

    pages: list[Seen]


async def browse(job: Job, send: harness.Send, ended: asyncio.Event) -> None:
    """Open the pages, and measure once all of them play."""
    async with chromium() as browser:
        pages = [await _open(browser, job, address) for address in job.pages]
        send(harness.Ready())
        await asyncio.sleep(job.warm_up)
        before = [await _begin(page, job) for page in pages]
        began = time.monotonic()
        await asyncio.sleep(job.seconds)
        took = time.monotonic() - began
        seen = [await _finish(*pair, took, job) for pair in zip(pages, before, strict=True)]
        send(Answer(seen))
        await ended.wait()


async def _open(browser: Browser, job: Job, address: str) -> Page:
    """A page in a context of its own, as another visitor's browser; it plays."""
    context = await browser.new_context(viewport=WINDOW)
    context.set_default_timeout(PAGE_MS)
    page = await context.new_page()
    await page.goto(address)
    if address in job.tokens:
        await page.evaluate(
            "(given) => window.join(...given)", [job.livekit_url, job.tokens[address]]
        )
    async with asyncio.timeout(PAGE_MS / 1000):
        while not await page.evaluate(PLAYED):  # noqa: ASYNC110 - its policy forbids another way
            await asyncio.sleep(0.1)
    if job.read:
        await page.evaluate(f"() => {{ {SCRIPT} }}")
        # The page has the same wall clock; the stamps are on the monotonic one.
        await page.evaluate("(offset) => follow(offset)", (time.time() - time.monotonic()) * 1000)
    return page


async def _begin(page: Page, job: Job) -> int:
    if job.read:
        await page.evaluate("begin()")
    frames: int = await page.evaluate(PLAYED)
    return frames


async def _finish(page: Page, before: int, took: float, job: Job) -> Seen:
    frames = (await page.evaluate(PLAYED) - before) / took
    ages: list[float] = []
    if job.read:
        ages = msgspec.convert(await page.evaluate("finish()"), Measured, strict=False).ages
    return Seen(round(frames, 2), [round(age, 2) for age in ages])
