"""Surfaces awake, then beside one asleep and one that never reads, in a process of their own.

Both spans use one connection, since two connections are never equally late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated, final

import msgspec

from livelayer_bus import Session, SurfaceSession

from ... import harness
from ...signals.stamped_video import Sampler
from .surfaces import CountCheck, Job, Memory, ReadingSurface, Span, examine, pass_time


class Sleeping(msgspec.Struct, frozen=True, tag_field="kind", tag="sleeping"):
    """The surfaces that are awake, alone or beside two more: times in milliseconds.

    One of the two waits for something else with a subscription open, the other never reads it.
    """

    rival: harness.Name
    readers: int
    p50: harness.Milliseconds
    p95: harness.Milliseconds
    p99: harness.Milliseconds
    """Sent to read, of the surface with the worst one."""
    growth: Annotated[float, harness.Column("grows MB", ".2f")]
    """Megabytes over the second half."""
    rss: harness.Megabytes
    """At the end."""
    slept: Annotated[int | None, harness.Column("slept over")] = None
    """Frames that came while the sleeper slept."""
    age: Annotated[float | None, harness.Column("woke on", ".1f")] = None
    """From sent to read, of the frame it woke on."""


class Answer(msgspec.Struct, frozen=True):
    """What the process measured."""

    awake: Sleeping
    asleep: Sleeping
    behind: int
    """Frames in the channel that were newer than the one the sleeper woke on."""
    wrong: int
    """Frames that the subscriptions' statistics do not account for, over all of them."""


@final
class RestingSurface:
    """A surface that reads one frame and then waits for something else, or never reads at all."""

    def __init__(self, *, reads: bool) -> None:
        self.resting, self.alarm, self.counted = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.behind = self.slept = self.wrong = 0
        self.age = 0.0
        self._reads = reads

    async def run(self, session: SurfaceSession) -> None:
        """The surface."""
        channel = session.video
        with channel.subscribe() as frames:
            if self._reads:
                await anext(frames)
            check, pushed = CountCheck(session, frames), channel.received
            self.resting.set()
            await self.alarm.wait()
            self.slept = channel.received - pushed
            self.wrong += check.wrong(0)
            if self._reads:
                frame = await anext(frames)
                self.age = examine(frame, Sampler(frame.width, frame.height)).age
                # What is not newest yet is still waiting: keeping more than one would show here.
                self.behind = frames.statistics().waiting + (frame is not channel.latest)
                self.wrong += check.wrong(1)
            self.counted.set()


async def measure(job: Job) -> Answer:
    """Some surfaces awake throughout; two others asleep in the middle."""
    plan = job.plan
    seconds = plan.warm_up + 2 * plan.awake + plan.asleep + harness.BEGIN_SECONDS
    readers = [ReadingSurface(round(seconds * plan.fps)) for _ in range(plan.surfaces)]
    sleeper, idler = RestingSurface(reads=True), RestingSurface(reads=False)
    async with Session("bench", tokens=job.room.token_source()) as session:
        for number, reader in enumerate(readers):
            session.mount(reader.run, key=f"surface-{number}", on_fault="raise")
        await session.connect()
        await _all(reader.begun for reader in readers)
        await asyncio.sleep(plan.warm_up)
        with Memory() as memory:
            before = await pass_time(plan.awake)
            session.mount(sleeper.run, key="sleeper", on_fault="raise")
            session.mount(idler.run, key="idler", on_fault="raise")
            await _all((sleeper.resting, idler.resting))
            during = await pass_time(plan.asleep)
            rss = harness.resident_mb()
            sleeper.alarm.set()
            idler.alarm.set()
            await _all((sleeper.counted, idler.counted))
            after = await pass_time(plan.awake)

        def case(name: str, extra: int, growth: float, rss: float, *spans: Span) -> Sleeping:
            worst = max(
                (reader.ages(*spans) for reader in readers),
                key=lambda ages: harness.percentile(ages, 0.99),
            )
            return Sleeping(
                rival=name,
                readers=len(readers) + extra,
                **harness.spread(worst, 2),
                growth=round(growth, 2),
                rss=round(rss, 1),
                slept=sleeper.slept if extra else None,
                age=round(sleeper.age, 2) if extra else None,
            )

        name, rss_awake = f"{plan.surfaces} awake", harness.resident_mb()
        return Answer(
            awake=case(name, 0, memory.growth(before), rss_awake, before, after),
            asleep=case(f"{name}, 2 asleep", 2, memory.growth(during), rss, during),
            behind=sleeper.behind,
            wrong=sleeper.wrong + idler.wrong + sum(reader.wrong for reader in readers),
        )


async def _all(events: Iterable[asyncio.Event]) -> None:
    async with asyncio.timeout(harness.BEGIN_SECONDS):
        for event in events:
            await event.wait()
