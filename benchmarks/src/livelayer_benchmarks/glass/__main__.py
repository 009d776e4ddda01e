"""How old a picture is when a page shows it: `python -m livelayer_benchmarks.glass [--quick]`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from livelayer_bus.errors import LivelayerError

from ..records import Goal, Surroundings, at_most, percentile, surroundings
from .agent import serving
from .pages import chromium, open_page

GLASS_GOAL: Final = 60.0  # ms, p50 at 720p
SIZES: Final = {"360p": (640, 360, 600_000), "720p": (1280, 720, 1_800_000)}
COLUMNS: Final = ("", "answer", "first", "p50", "p95", "audio buffer", "video buffer", "fps")


class Plan(msgspec.Struct, frozen=True):
    """How much to measure, seconds each."""

    warm_up: float = 5.0
    """From the first picture on."""
    measured: float = 15.0


QUICK: Final = Plan(warm_up=2.0, measured=4.0)


class Case(msgspec.Struct, frozen=True):
    """One size; times in milliseconds."""

    size: str
    answered: float
    """From the offer to the answer."""
    first_frame: float
    """From the page's beginning to its first picture."""
    p50: float
    """Painted to shown."""
    p95: float
    audio_buffer: float
    """Mean time of sound in the browser's jitter buffer."""
    video_buffer: float
    pictures: float
    """Shown a second."""
    unread: int
    """Pictures whose stamp could not be read."""


class GlassBenchmark(msgspec.Struct, frozen=True):
    """What came out."""

    surroundings: Surroundings
    plan: Plan
    cases: list[Case]
    goals: list[Goal]


async def measure(size: str, plan: Plan) -> Case:
    """One case, with a browser and a session of its own."""
    width, height, bitrate = SIZES[size]
    async with AsyncExitStack() as stack:
        media = await stack.enter_async_context(serving(width, height, bitrate))
        browser = await stack.enter_async_context(chromium())
        page = await open_page(browser, media)
        await asyncio.sleep(plan.warm_up)
        await page.begin()
        await asyncio.sleep(plan.measured)
        result = await page.finish()
    ages = sorted(result.ages)
    return Case(
        size=size,
        answered=page.times["answered"] - page.times["offered"],
        first_frame=page.times["first frame"],
        p50=percentile(ages, 0.50),
        p95=percentile(ages, 0.95),
        audio_buffer=result.audio.buffer,
        video_buffer=result.video.buffer,
        pictures=(len(ages) + result.unread) / plan.measured,
        unread=result.unread,
    )


async def run(plan: Plan) -> GlassBenchmark:
    """Every size, one after the other."""
    cases = [await measure(size, plan) for size in SIZES]
    goals = [at_most("720p, painted to shown, p50", GLASS_GOAL, cases[-1].p50, " ms")]
    packages = ("aiortc", "av", "playwright")
    return GlassBenchmark(surroundings("none", packages), plan, cases, goals)


def show(result: GlassBenchmark) -> None:
    """Print it."""
    table = Table(*COLUMNS, title="glass: milliseconds, one page of Chromium on this machine")
    for case in result.cases:
        times = (case.answered, case.first_frame, case.p50, case.p95)
        numbers = (*times, case.audio_buffer, case.video_buffer, case.pictures)
        table.add_row(case.size, *(f"{number:.1f}" for number in numbers))
    console = Console()
    console.print(table)
    for goal in result.goals:
        verdict = "met" if goal.met else "MISSED"
        console.print(f"{goal.name}: {goal.measured} (wanted {goal.wanted}) {verdict}")


def main() -> int:
    """Measure, show, and write the result if asked; the exit code is 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m livelayer_benchmarks.glass")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="a few seconds each")
    options = parser.parse_args()
    try:
        result = asyncio.run(run(QUICK if options.quick else Plan()))
    except LivelayerError as error:
        print(error, file=sys.stderr)
        return 2
    show(result)
    if options.json is not None:
        formatted = msgspec.json.format(msgspec.json.encode(result), indent=2)
        options.json.write_bytes(formatted + b"\n")
    return 0 if all(goal.met for goal in result.goals) else 1


if __name__ == "__main__":
    sys.exit(main())
