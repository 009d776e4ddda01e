"""What the processes of the stall benchmark observe: surfaces' frames, and memory over time."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self, final

import msgspec

from livelayer_bus import SurfaceSession, VideoFrame
from livelayer_bus.media import VideoSubscription

from ...harness import RoomRef, resident_mb
from ...signals.frame_recorder import SIZE
from ...signals.stamped_video import Sampler, read_stamp

EVERY: Final = 0.05  # seconds between two samples of the memory
UNREADABLE: Final = -1  # number of a frame without a readable stamp


class Plan(msgspec.Struct, frozen=True):
    """How much to measure, seconds each: about three minutes."""

    width: int = 1280
    """A multiple of 32."""
    height: int = 720
    fps: int = 30
    surfaces: int = 4
    """Those that stay awake."""
    warm_up: float = 4.0
    """In every process, from the first frames on."""
    awake: float = 30.0
    """Before the sleepers sleep, and again after."""
    asleep: float = 60.0
    before: float = 3.0
    blocked: float = 5.0
    after: float = 4.0


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    room: RoomRef
    plan: Plan
    kind: str = ""
    """Of the room, where a loop is blocked."""


class Span(NamedTuple):
    """A span of time in nanoseconds of `time.monotonic_ns`."""

    start_ns: int
    end_ns: int


async def pass_time(seconds: float) -> Span:
    """Let that much time pass."""
    began = time.monotonic_ns()
    await asyncio.sleep(seconds)
    return Span(began, time.monotonic_ns())


class ReadFrame(NamedTuple):
    """One frame that a surface read."""

    at_ns: int
    number: int
    age: float
    """Milliseconds from sent to read."""


@final
class CountCheck:
    """A subscription's count against the channel's own, from the frame it began with."""

    def __init__(self, session: SurfaceSession, frames: VideoSubscription) -> None:
        self._channel = session.video
        self._frames = frames
        begun = frames.statistics()
        self._received, self._delivered = begun.received, begun.delivered
        self._pushed = self._channel.received

    def wrong(self, read: int) -> int:
        """Frames that the statistics do not account for, `read` since the beginning."""
        now = self._frames.statistics()
        pushed = self._channel.received - self._pushed
        return (
            abs(now.received - now.delivered - now.dropped - now.waiting)
            + abs(now.received - self._received - pushed)
            + abs(now.delivered - self._delivered - read)
        )


@final
class ReadingSurface:
    """A surface that reads every frame; its memory is allocated beforehand, not while it reads."""

    def __init__(self, frames: int) -> None:
        """Make room for that many frames."""
        self.begun = asyncio.Event()
        self._at = array("q", bytes(8 * frames))
        self._numbers = array("q", bytes(8 * frames))
        self._ages = array("d", bytes(8 * frames))
        self._count = 0
        self._sampler = Sampler(0, 0)
        self._size = (0, 0)
        self._check: CountCheck | None = None

    async def run(self, session: SurfaceSession) -> None:
        """The surface."""
        with session.video.subscribe() as frames:
            async for frame in frames:
                if self._check is None:
                    self._check = CountCheck(session, frames)
                    self.begun.set()
                else:
                    self._note(frame)

    def _note(self, frame: VideoFrame) -> None:
        size = (frame.width, frame.height)
        if size != self._size:
            self._size, self._sampler = size, Sampler(*size)
        read = examine(frame, self._sampler)
        if self._count == len(self._at):  # more frames than asked for: all are kept
            for kept in (self._at, self._numbers):
                kept.append(0)
            self._ages.append(0.0)
        self._at[self._count], self._numbers[self._count], self._ages[self._count] = read
        self._count += 1

    @property
    def wrong(self) -> int:
        """Frames that its statistics do not account for."""
        return self._check.wrong(self._count) if self._check is not None else 0

    def frames(self, span: Span) -> Iterator[ReadFrame]:
        """The frames with a readable stamp that it read in that time."""
        for at_ns, number, age in zip(self._at, self._numbers, self._ages, strict=True):
            if span.start_ns <= at_ns < span.end_ns and number != UNREADABLE:
                yield ReadFrame(at_ns, number, age)

    def ages(self, *spans: Span) -> list[float]:
        """How old those were, sorted."""
        return sorted(frame.age for span in spans for frame in self.frames(span))


def examine(frame: VideoFrame, sampler: Sampler) -> ReadFrame:
    """Read a frame's stamp now."""
    now = time.monotonic_ns()
    stamp = read_stamp(sampler.sample(frame.planes[0]))
    if stamp is None:
        return ReadFrame(now, UNREADABLE, 0.0)
    return ReadFrame(now, stamp.number, stamp.age_us(now) / 1000)


def missed(frames: Sequence[ReadFrame]) -> int:
    """How many frames were sent between the first and the last of these, and are not here."""
    if not frames:
        return 0
    sent = (frames[-1].number - frames[0].number) % SIZE + 1
    return sent - len(frames)


@final
class Memory:
    """Samples this process's memory from a thread of its own, for the length of a block."""

    def __init__(self) -> None:
        self._samples: list[tuple[int, float]] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(EVERY):
            self._samples.append((time.monotonic_ns(), resident_mb()))

    def during(self, span: Span) -> list[float]:
        """Megabytes at each sample in that time; those of now if there was none."""
        found = [mb for at_ns, mb in tuple(self._samples) if span.start_ns <= at_ns < span.end_ns]
        return found or [resident_mb()]

    def growth(self, span: Span) -> float:
        """Megabytes from the middle of that time to its end, medians of a tenth each."""
        tenth = (span.end_ns - span.start_ns) // 10
        middle = (span.start_ns + span.end_ns) // 2
        begun = statistics.median(self.during(Span(middle, middle + tenth)))
        return statistics.median(self.during(Span(span.end_ns - tenth, span.end_ns))) - begun
