"""A surface that blocks the application's loop, with one kind of room, in a process of its own.

Started by the harness as `python -m livelayer_benchmarks.stalls_blocked`.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias, final

import msgspec

from livelayer_bus.rooms import IsolatedRoom, LiveKitRoom, RoomFactory
from livelayer_bus.session import Session
from livelayer_bus.surfaces import SurfaceSession

from .child import Say, serve
from .places import Place
from .records import percentile
from .stalls_watching import Memory, Seen, Span, Watcher, missed

BEGIN_SECONDS: Final = 20.0  # for every surface to have its first picture
NORMAL: Final = 1.5  # times the median before is as late as normal pictures are
TOGETHER: Final = 5  # pictures in a row that have to be normal: one alone may be a lucky one

RoomKind: TypeAlias = Literal["LiveKitRoom", "IsolatedRoom"]
ROOMS: Final[Mapping[str, RoomFactory]] = {"LiveKitRoom": LiveKitRoom, "IsolatedRoom": IsolatedRoom}


class Job(msgspec.Struct, frozen=True):
    """What one process measures, seconds each."""

    place: Place
    room: RoomKind
    surfaces: int
    fps: int
    warm_up: float
    before: float
    blocked: float
    after: float


class Answer(msgspec.Struct, frozen=True):
    """What came of it: times in milliseconds, memory in megabytes, of the worst surface."""

    p50: float
    """Sent to read, before."""
    p50_after: float
    """The same in the second half of the time after."""
    oldest: float
    """The latest picture after."""
    back: float
    """From the end of the block to the first picture from which on they are at most 1.5 times as
    late as before."""
    missed: int
    """Pictures that the surface with the most gaps never got: before, in and after the block."""
    rss_before: float
    rss_peak: float
    rss_after: float


@final
class Blocker:
    """A surface that takes a picture, and when asked to stops the loop."""

    def __init__(self, seconds: float) -> None:
        self.begun, self.now, self.over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.span = Span(0, 0)
        self._seconds = seconds

    async def block(self, session: SurfaceSession) -> None:
        """The surface."""
        with session.video.subscribe() as frames:
            await anext(frames)
            self.begun.set()
            await self.now.wait()
            began = time.monotonic_ns()
            time.sleep(self._seconds)  # noqa: ASYNC251 - this is what is measured
            self.span = Span(began, time.monotonic_ns())
            self.over.set()


async def measure(job: Job) -> Answer:
    """Watch before, block, watch after."""
    seconds = job.warm_up + job.before + job.blocked + job.after + BEGIN_SECONDS
    watchers = [Watcher(round(seconds * job.fps)) for _ in range(job.surfaces)]
    blocker = Blocker(job.blocked)
    async with Session("bench", tokens=job.place.tokens(), room=ROOMS[job.room]) as session:
        for number, watcher in enumerate(watchers):
            session.mount(watcher.watch, key=f"surface-{number}", on_fault="raise")
        session.mount(blocker.block, key="blocker", on_fault="raise")
        await session.connect()
        async with asyncio.timeout(BEGIN_SECONDS):
            for begun in (*(watcher.begun for watcher in watchers), blocker.begun):
                await begun.wait()
        await asyncio.sleep(job.warm_up)
        with Memory() as memory:
            began = time.monotonic_ns()
            await asyncio.sleep(job.before)
            before = Span(began, time.monotonic_ns())
            blocker.now.set()
            await blocker.over.wait()
            await asyncio.sleep(job.after)
            after = Span(blocker.span.end_ns, time.monotonic_ns())
        return _answer(watchers, memory, before, after)


def _answer(watchers: Sequence[Watcher], memory: Memory, before: Span, after: Span) -> Answer:
    half = Span((after.start_ns + after.end_ns) // 2, after.end_ns)
    normal = max(percentile(watcher.ages(before), 0.5) for watcher in watchers)
    whole = Span(before.start_ns, after.end_ns)
    return Answer(
        p50=round(normal, 2),
        p50_after=round(max(percentile(one.ages(half), 0.5) for one in watchers), 2),
        oldest=round(max((age for one in watchers for age in one.ages(after)), default=0.0), 2),
        back=round(max(back_after(list(one.seen(after)), normal, after) for one in watchers), 1),
        missed=max(missed(list(one.seen(whole))) for one in watchers),
        rss_before=round(statistics.median(memory.during(before)), 1),
        rss_peak=round(max(memory.during(Span(before.end_ns, after.end_ns))), 1),
        rss_after=round(statistics.median(memory.during(half)), 1),
    )


def back_after(pictures: Sequence[Seen], normal: float, after: Span) -> float:
    """Milliseconds until pictures are as late as is normal; all of `after` if that never happens.

    Counted until the first picture that is, and that is followed by others that are.
    """
    for index in range(len(pictures) - TOGETHER + 1):
        if max(seen.age for seen in pictures[index : index + TOGETHER]) <= NORMAL * normal:
            return (pictures[index].at_ns - after.start_ns) / 1e6
    return (after.end_ns - after.start_ns) / 1e6


async def work(job: Job, say: Say, ended: asyncio.Event) -> None:
    """Measure and answer."""
    del ended  # the parent closes the pipe after the answer
    say(await measure(job))


if __name__ == "__main__":
    serve(Job, work)
