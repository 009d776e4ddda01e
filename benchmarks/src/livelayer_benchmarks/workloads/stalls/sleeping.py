"""Surfaces awake, then beside one asleep and one that never reads, in a process of their own.

Both spans use one connection, since two connections are never equally late.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import final

import msgspec

from livelayer_bus import Session, SurfaceSession

from ...harness import RoomRef, Send, percentile, resident_mb
from ...signals.stamped_video import Sampler
from .surfaces import CountCheck, Memory, ReadingSurface, Span, examine

BEGIN_SECONDS = 20.0  # for every surface to have its first frame


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    room: RoomRef
    surfaces: int
    fps: int
    warm_up: float
    awake: float
    """Seconds before the others sleep, and again after."""
    asleep: float


class Measured(msgspec.Struct, frozen=True):
    """The surfaces that stay awake, in one span; times in milliseconds."""

    p50: float
    p95: float
    p99: float
    """Sent to read, of the surface with the worst one."""
    growth: float
    """Megabytes over the second half."""
    rss: float
    """Megabytes at the end."""


class Answer(msgspec.Struct, frozen=True):
    """What the process measured."""

    awake: Measured
    asleep: Measured
    behind: int
    """Frames in the channel that were newer than the one the sleeper woke on."""
    age: float
    """Milliseconds from sent to read, of that frame."""
    slept: int
    """Frames that came while it slept."""
    wrong: int
    """Frames that the subscriptions' statistics do not account for, over all of them."""


@final
class SleepingSurface:
    """A surface that reads one frame and then waits for something else."""

    def __init__(self) -> None:
        self.asleep, self.alarm, self.awake = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.behind = self.slept = self.wrong = 0
        self.age = 0.0

    async def run(self, session: SurfaceSession) -> None:
        """The surface."""
        channel = session.video
        with channel.subscribe() as frames:
            await anext(frames)
            check, pushed = CountCheck(session, frames), channel.received
            self.asleep.set()
            await self.alarm.wait()
            self.slept = channel.received - pushed
            self.wrong += check.wrong(0)
            frame = await anext(frames)
            self.age = examine(frame, Sampler(frame.width, frame.height)).age
            # What is not newest yet is still waiting: keeping more than one would show here.
            self.behind = frames.statistics().waiting + (frame is not channel.latest)
            self.wrong += check.wrong(1)
            self.awake.set()


@final
class IdleSurface:
    """A surface that subscribes and never reads."""

    def __init__(self) -> None:
        self.subscribed, self.counted = asyncio.Event(), asyncio.Event()
        self.alarm = asyncio.Event()
        self.wrong = 0

    async def run(self, session: SurfaceSession) -> None:
        """The surface."""
        with session.video.subscribe() as frames:
            check = CountCheck(session, frames)
            self.subscribed.set()
            await self.alarm.wait()
            self.wrong = check.wrong(0)
            self.counted.set()


async def measure(job: Job, send: Send, ended: asyncio.Event) -> None:
    """Some surfaces awake throughout; two others asleep in the middle."""
    frames = round((job.warm_up + 2 * job.awake + job.asleep + BEGIN_SECONDS) * job.fps)
    readers = [ReadingSurface(frames) for _ in range(job.surfaces)]
    sleeper, idler = SleepingSurface(), IdleSurface()
    async with Session("bench", tokens=job.room.token_source()) as session:
        for number, reader in enumerate(readers):
            session.mount(reader.run, key=f"surface-{number}", on_fault="raise")
        await session.connect()
        await _all(reader.begun for reader in readers)
        await asyncio.sleep(job.warm_up)
        with Memory() as memory:
            before = await _span(job.awake)
            session.mount(sleeper.run, key="sleeper", on_fault="raise")
            session.mount(idler.run, key="idler", on_fault="raise")
            await _all((sleeper.asleep, idler.subscribed))
            during = await _span(job.asleep)
            rss = resident_mb()
            sleeper.alarm.set()
            idler.alarm.set()
            await _all((sleeper.awake, idler.counted))
            after = await _span(job.awake)
        wrong = sleeper.wrong + idler.wrong + sum(reader.wrong for reader in readers)
        answer = Answer(
            awake=_measured(readers, (before, after), memory.growth(before), resident_mb()),
            asleep=_measured(readers, (during,), memory.growth(during), rss),
            behind=sleeper.behind,
            age=round(sleeper.age, 2),
            slept=sleeper.slept,
            wrong=wrong,
        )
    send(answer)


async def _all(events: Iterable[asyncio.Event]) -> None:
    async with asyncio.timeout(BEGIN_SECONDS):
        for event in events:
            await event.wait()


async def _span(seconds: float) -> Span:
    began = time.monotonic_ns()
    await asyncio.sleep(seconds)
    return Span(began, time.monotonic_ns())


def _measured(
    readers: Iterable[ReadingSurface], spans: tuple[Span, ...], growth: float, rss: float
) -> Measured:
    worst = max((reader.ages(*spans) for reader in readers), key=lambda a: percentile(a, 0.99))
    return Measured(
        p50=round(percentile(worst, 0.5), 2),
        p95=round(percentile(worst, 0.95), 2),
        p99=round(percentile(worst, 0.99), 2),
        growth=round(growth, 2),
        rss=round(rss, 1),
    )
