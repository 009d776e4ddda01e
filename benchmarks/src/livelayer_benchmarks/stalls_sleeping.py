"""Surfaces awake, then beside one asleep and one that never reads, in a process of their own.

Started by the harness as `python -m livelayer_benchmarks.stalls_sleeping`. Both stretches use one
connection, since two connections are never equally late.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import final

import msgspec

from livelayer_bus.session import Session
from livelayer_bus.surfaces import SurfaceSession

from .child import Say, serve
from .picture import Sampler
from .places import Place
from .records import percentile
from .stalls_watching import Counted, Memory, Span, Watcher, look
from .usage import resident_mb

BEGIN_SECONDS = 20.0  # for every surface to have its first picture


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    place: Place
    surfaces: int
    fps: int
    warm_up: float
    awake: float
    """Seconds before the others sleep, and again after."""
    asleep: float


class Stretch(msgspec.Struct, frozen=True):
    """The surfaces that stay awake, in one stretch; times in milliseconds."""

    p50: float
    p95: float
    p99: float
    """Sent to read, of the surface with the worst one."""
    growth: float
    """Megabytes over the second half."""
    rss: float
    """Megabytes at the end."""


class Answer(msgspec.Struct, frozen=True):
    """What came of it."""

    awake: Stretch
    asleep: Stretch
    behind: int
    """Pictures in the channel that were newer than the one the sleeper woke on."""
    age: float
    """Milliseconds from sent to read, of that picture."""
    slept: int
    """Pictures that came while it slept."""
    wrong: int
    """Pictures that the subscriptions' statistics do not account for, over all of them."""


@final
class Sleeper:
    """A surface that takes one picture and then waits for something else."""

    def __init__(self) -> None:
        self.asleep, self.alarm, self.awake = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.behind = self.slept = self.wrong = 0
        self.age = 0.0

    async def sleep(self, session: SurfaceSession) -> None:
        """The surface."""
        channel = session.video
        with channel.subscribe() as frames:
            await anext(frames)
            counted, pushed = Counted(session, frames), channel.received
            self.asleep.set()
            await self.alarm.wait()
            self.slept = channel.received - pushed
            self.wrong += counted.wrong(0)
            frame = await anext(frames)
            self.age = look(frame, Sampler(frame.width, frame.height)).age
            # What is not newest yet is still waiting: keeping more than one would show here.
            self.behind = frames.statistics().waiting + (frame is not channel.latest)
            self.wrong += counted.wrong(1)
            self.awake.set()


@final
class Idler:
    """A surface that subscribes and never reads."""

    def __init__(self) -> None:
        self.subscribed, self.counted = asyncio.Event(), asyncio.Event()
        self.alarm = asyncio.Event()
        self.wrong = 0

    async def idle(self, session: SurfaceSession) -> None:
        """The surface."""
        with session.video.subscribe() as frames:
            counted = Counted(session, frames)
            self.subscribed.set()
            await self.alarm.wait()
            self.wrong = counted.wrong(0)
            self.counted.set()


async def measure(job: Job) -> Answer:
    """Some surfaces awake throughout; two others asleep in the middle."""
    pictures = round((job.warm_up + 2 * job.awake + job.asleep + BEGIN_SECONDS) * job.fps)
    watchers = [Watcher(pictures) for _ in range(job.surfaces)]
    sleeper, idler = Sleeper(), Idler()
    async with Session("bench", tokens=job.place.tokens()) as session:
        for number, watcher in enumerate(watchers):
            session.mount(watcher.watch, key=f"surface-{number}", on_fault="raise")
        await session.connect()
        await _all(watcher.begun for watcher in watchers)
        await asyncio.sleep(job.warm_up)
        with Memory() as memory:
            before = await _span(job.awake)
            session.mount(sleeper.sleep, key="sleeper", on_fault="raise")
            session.mount(idler.idle, key="idler", on_fault="raise")
            await _all((sleeper.asleep, idler.subscribed))
            during = await _span(job.asleep)
            rss = resident_mb()
            sleeper.alarm.set()
            idler.alarm.set()
            await _all((sleeper.awake, idler.counted))
            after = await _span(job.awake)
        wrong = sleeper.wrong + idler.wrong + sum(watcher.wrong for watcher in watchers)
        return Answer(
            awake=_stretch(watchers, (before, after), memory.growth(before), resident_mb()),
            asleep=_stretch(watchers, (during,), memory.growth(during), rss),
            behind=sleeper.behind,
            age=round(sleeper.age, 2),
            slept=sleeper.slept,
            wrong=wrong,
        )


async def _all(events: Iterable[asyncio.Event]) -> None:
    async with asyncio.timeout(BEGIN_SECONDS):
        for event in events:
            await event.wait()


async def _span(seconds: float) -> Span:
    began = time.monotonic_ns()
    await asyncio.sleep(seconds)
    return Span(began, time.monotonic_ns())


def _stretch(
    watchers: Iterable[Watcher], spans: tuple[Span, ...], growth: float, rss: float
) -> Stretch:
    worst = max((watcher.ages(*spans) for watcher in watchers), key=lambda a: percentile(a, 0.99))
    return Stretch(
        p50=round(percentile(worst, 0.5), 2),
        p95=round(percentile(worst, 0.95), 2),
        p99=round(percentile(worst, 0.99), 2),
        growth=round(growth, 2),
        rss=round(rss, 1),
    )


async def work(job: Job, say: Say, ended: asyncio.Event) -> None:
    """Measure and answer."""
    del ended  # the parent closes the pipe after the answer
    say(await measure(job))


if __name__ == "__main__":
    serve(Job, work)
