"""A surface that blocks the application's loop, with one kind of room, in a process of its own."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias, final

import msgspec

from livelayer_bus import Session, SurfaceSession
from livelayer_bus.rooms import IsolatedRoom, LiveKitRoom, RoomFactory

from ...harness import RoomRef, Send, percentile
from .surfaces import Memory, ReadFrame, ReadingSurface, Span, missed

BEGIN_SECONDS: Final = 20.0  # for every surface to have its first frame
NORMAL: Final = 1.5  # times the median before is as late as normal frames are
TOGETHER: Final = 5  # frames in a row that have to be normal: one alone may be a lucky one

RoomKind: TypeAlias = Literal["LiveKitRoom", "IsolatedRoom"]
ROOMS: Final[Mapping[str, RoomFactory]] = {"LiveKitRoom": LiveKitRoom, "IsolatedRoom": IsolatedRoom}


class Job(msgspec.Struct, frozen=True):
    """What one process measures, seconds each."""

    room: RoomRef
    kind: RoomKind
    surfaces: int
    fps: int
    warm_up: float
    before: float
    blocked: float
    after: float


class Answer(msgspec.Struct, frozen=True):
    """What the process measured, of the worst surface: milliseconds, and megabytes of memory."""

    p50: float
    """Sent to read, before."""
    p50_after: float
    """The same in the second half of the time after."""
    oldest: float
    """The latest frame after."""
    back: float
    """From the end of the block to the first frame from which on they are at most 1.5 times as
    late as before."""
    missed: int
    """Frames that the surface with the most gaps never got: before, in and after the block."""
    rss_before: float
    rss_peak: float
    rss_after: float


@final
class BlockingSurface:
    """A surface that reads a frame, and on request blocks the loop."""

    def __init__(self, seconds: float) -> None:
        self.begun, self.now, self.over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.span = Span(0, 0)
        self._seconds = seconds

    async def run(self, session: SurfaceSession) -> None:
        """The surface."""
        with session.video.subscribe() as frames:
            await anext(frames)
            self.begun.set()
            await self.now.wait()
            began = time.monotonic_ns()
            time.sleep(self._seconds)  # noqa: ASYNC251 - this is what is measured
            self.span = Span(began, time.monotonic_ns())
            self.over.set()


async def measure(job: Job, send: Send, ended: asyncio.Event) -> None:
    """Read before, block, read after."""
    seconds = job.warm_up + job.before + job.blocked + job.after + BEGIN_SECONDS
    readers = [ReadingSurface(round(seconds * job.fps)) for _ in range(job.surfaces)]
    blocker = BlockingSurface(job.blocked)
    room = ROOMS[job.kind]
    async with Session("bench", tokens=job.room.token_source(), room=room) as session:
        for number, reader in enumerate(readers):
            session.mount(reader.run, key=f"surface-{number}", on_fault="raise")
        session.mount(blocker.run, key="blocker", on_fault="raise")
        await session.connect()
        async with asyncio.timeout(BEGIN_SECONDS):
            for begun in (*(reader.begun for reader in readers), blocker.begun):
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
        answer = _answer(readers, memory, before, after)
    send(answer)


def _answer(readers: Sequence[ReadingSurface], memory: Memory, before: Span, after: Span) -> Answer:
    half = Span((after.start_ns + after.end_ns) // 2, after.end_ns)
    normal = max(percentile(reader.ages(before), 0.5) for reader in readers)
    whole = Span(before.start_ns, after.end_ns)
    return Answer(
        p50=round(normal, 2),
        p50_after=round(max(percentile(one.ages(half), 0.5) for one in readers), 2),
        oldest=round(max((age for one in readers for age in one.ages(after)), default=0.0), 2),
        back=round(max(back_after(list(one.frames(after)), normal, after) for one in readers), 1),
        missed=max(missed(list(one.frames(whole))) for one in readers),
        rss_before=round(statistics.median(memory.during(before)), 1),
        rss_peak=round(max(memory.during(Span(before.end_ns, after.end_ns))), 1),
        rss_after=round(statistics.median(memory.during(half)), 1),
    )


def back_after(frames: Sequence[ReadFrame], normal: float, after: Span) -> float:
    """Milliseconds until frames are as late as is normal; all of `after` if that never happens.

    Counted until the first frame that is, and that is followed by others that are.
    """
    for index in range(len(frames) - TOGETHER + 1):
        if max(frame.age for frame in frames[index : index + TOGETHER]) <= NORMAL * normal:
            return (frames[index].at_ns - after.start_ns) / 1e6
    return (after.end_ns - after.start_ns) / 1e6
