"""One page of Chromium for each size: its first frame, and the age of every frame it shows."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import msgspec
from livelayer_web import MediaSettings, Quality

from ... import harness
from ...rivals.web.livelayer_web import session_media
from ..web.server import FPS, push
from .pages import chromium, open_page

GLASS_GOAL: Final = 60.0  # ms, p50 at 720p
SPARE_SECONDS: Final = 60.0  # a case may take over its measured time
SIZES: Final = {"360p": (640, 360, 600_000), "720p": (1280, 720, 1_800_000)}
PACKAGES: Final = ("aiortc", "av", "playwright")


class Plan(msgspec.Struct, frozen=True):
    """How much to measure, seconds each: about a minute."""

    warm_up: float = 5.0
    """From the first frame on."""
    seconds: float = 15.0


class Case(msgspec.Struct, frozen=True):
    """One size; times in milliseconds."""

    rival: str
    """"360p" or "720p"."""
    answered: float
    """From the offer to the answer."""
    first_frame: float
    """From the page's beginning to its first frame."""
    p50: float
    """Painted to shown."""
    p95: float
    audio_buffer: float
    """Mean time of audio in the browser's jitter buffer."""
    video_buffer: float
    frames: float
    """Shown a second."""
    unread: int
    """Frames whose stamp could not be read."""


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    size: str
    plan: Plan


async def measure(job: Job, send: harness.Send, ended: asyncio.Event) -> None:
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
    case = Case(
        rival=job.size,
        answered=round(page.times["answered"] - page.times["offered"], 2),
        first_frame=round(page.times["first frame"], 2),
        p50=round(harness.percentile(ages, 0.50), 2),
        p95=round(harness.percentile(ages, 0.95), 2),
        audio_buffer=round(result.audio.buffer, 2),
        video_buffer=round(result.video.buffer, 2),
        frames=round((len(ages) + result.unread) / job.plan.seconds, 2),
        unread=result.unread,
    )
    send(case)


def run(plan: Plan, url: str | None = None) -> harness.Result[Plan, Case]:
    """Measure every size, one after the other, each in a fresh process."""
    about = harness.environment("none", packages=PACKAGES)
    cases: list[Case] = []
    seconds = plan.warm_up + plan.seconds + SPARE_SECONDS

    def measure_size(size: str) -> None:
        cases.append(harness.ask(measure, Job(size, plan), Case, seconds))

    steps = [harness.Step(size, partial(measure_size, size)) for size in SIZES]
    harness.run_rounds("glass", steps, 1, lambda step: step.measure())
    goals = [harness.at_most("720p, painted to shown, p50", GLASS_GOAL, cases[-1].p50, " ms")]
    return harness.Result(environment=about, plan=plan, cases=cases, goals=goals, skipped={})


AREA = harness.Area(
    plan=Plan(),
    quick=Plan(warm_up=2.0, seconds=4.0),
    run=run,
    tables=(
        harness.Table(
            "one page of Chromium, in ms",
            (
                harness.RIVAL,
                harness.Column("answered", "answer", ".1f"),
                harness.Column("first_frame", "first frame", ".1f"),
                harness.Column("p50", "p50", ".1f"),
                harness.Column("p95", "p95", ".1f"),
                harness.Column("audio_buffer", "audio buffer", ".1f"),
                harness.Column("video_buffer", "video buffer", ".1f"),
                harness.Column("frames", "fps", ".1f"),
            ),
        ),
    ),
    charts=(
        (
            harness.Bars("glass: painted to shown, p50, ms", "p50", ours=True),
            harness.Bars("glass: first frame, ms", "first_frame", ours=True),
        ),
    ),
    server="none",
)
