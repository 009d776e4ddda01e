"""A surface that blocks the application's loop, with one kind of room, in a process of its own."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, final

import msgspec

from livelayer_bus import Session, SurfaceSession
from livelayer_bus.rooms import IsolatedRoom, LiveKitRoom, RoomFactory

from ... import harness
from .surfaces import Job, Memory, ReadFrame, ReadingSurface, Span, missed, pass_time

NORMAL: Final = 1.5  # times the median before is as late as normal frames are
TOGETHER: Final = 5  # frames in a row that have to be normal: one alone may be a lucky one
ROOMS: Final[Mapping[str, RoomFactory]] = {"LiveKitRoom": LiveKitRoom, "IsolatedRoom": IsolatedRoom}


class Blocked(msgspec.Struct, frozen=True, tag_field="kind", tag="blocked"):
    """A blocked loop with one kind of room, of the worst surface: milliseconds, and megabytes."""

    rival: harness.Name
    readers: int
    p50: Annotated[float, harness.Column("before", ".1f")]
    """Sent to read, before."""
    p50_after: Annotated[float, harness.Column("after", ".1f")]
    """The same in the second half of the time after."""
    oldest: harness.Milliseconds
    """The latest frame after."""
    back: Annotated[float, harness.Column("back in", ".0f")]
    """From the end of the block to the first frame from which on they are at most 1.5 times as
    late as before."""
    missed: Annotated[int, harness.Column("lost")]
    """Frames that the surface with the most gaps never got: before, in and after the block."""
    rss_before: Annotated[float, harness.Column("MB before", ".0f")]
    rss_peak: Annotated[float, harness.Column("peak", ".0f")]
    rss_after: Annotated[float, harness.Column("after", ".0f")]


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


async def measure(job: Job) -> Blocked:
    """Read before, block, read after."""
    plan = job.plan
    seconds = plan.warm_up + plan.before + plan.blocked + plan.after + harness.BEGIN_SECONDS
    readers = [ReadingSurface(round(seconds * plan.fps)) for _ in range(plan.surfaces)]
    blocker = BlockingSurface(plan.blocked)
    room = ROOMS[job.kind]
    async with Session("bench", tokens=job.room.token_source(), room=room) as session:
        for number, reader in enumerate(readers):
            session.mount(reader.run, key=f"surface-{number}", on_fault="raise")
        session.mount(blocker.run, key="blocker", on_fault="raise")
        await session.connect()
        async with asyncio.timeout(harness.BEGIN_SECONDS):
            for begun in (*(reader.begun for reader in readers), blocker.begun):
                await begun.wait()
        await asyncio.sleep(plan.warm_up)
        with Memory() as memory:
            before = await pass_time(plan.before)
            blocker.now.set()
            await blocker.over.wait()
            await asyncio.sleep(plan.after)
            after = Span(blocker.span.end_ns, time.monotonic_ns())
        return _case(job.kind, readers, memory, before, after)


def _case(
    kind: str, readers: Sequence[ReadingSurface], memory: Memory, before: Span, after: Span
) -> Blocked:
    half = Span((after.start_ns + after.end_ns) // 2, after.end_ns)
    normal = max(harness.percentile(reader.ages(before), 0.5) for reader in readers)
    whole = Span(before.start_ns, after.end_ns)
    return Blocked(
        rival=kind,
        readers=len(readers),
        p50=round(normal, 2),
        p50_after=round(max(harness.percentile(one.ages(half), 0.5) for one in readers), 2),
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
