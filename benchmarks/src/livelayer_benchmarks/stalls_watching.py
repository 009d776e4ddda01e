"""What the processes of the stall benchmark look at: surfaces' pictures, and memory over time."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self, final

from livelayer_bus.media import VideoFrame, VideoSubscription
from livelayer_bus.surfaces import SurfaceSession

from .frames_recorder import SIZE
from .picture import Sampler, read_stamp
from .usage import resident_mb

EVERY: Final = 0.05  # seconds between two looks at the memory
UNREADABLE: Final = -1  # number of a picture without a readable stamp


class Span(NamedTuple):
    """A stretch of time in nanoseconds of `time.monotonic_ns`."""

    start_ns: int
    end_ns: int


class Seen(NamedTuple):
    """One picture that a surface took."""

    at_ns: int
    number: int
    age: float
    """Milliseconds from sent to read."""


@final
class Counted:
    """A subscription's count beside the channel's own, from the picture it began with."""

    def __init__(self, session: SurfaceSession, frames: VideoSubscription) -> None:
        self._channel = session.video
        self._frames = frames
        begun = frames.statistics()
        self._received, self._delivered = begun.received, begun.delivered
        self._pushed = self._channel.received

    def wrong(self, taken: int) -> int:
        """Pictures that the statistics do not account for, `taken` since the beginning."""
        now = self._frames.statistics()
        pushed = self._channel.received - self._pushed
        return (
            abs(now.received - now.delivered - now.dropped - now.waiting)
            + abs(now.received - self._received - pushed)
            + abs(now.delivered - self._delivered - taken)
        )


@final
class Watcher:
    """A surface that looks at every picture; its memory is taken beforehand, not while it looks."""

    def __init__(self, pictures: int) -> None:
        """Make room for that many pictures."""
        self.begun = asyncio.Event()
        self._at = array("q", bytes(8 * pictures))
        self._numbers = array("q", bytes(8 * pictures))
        self._ages = array("d", bytes(8 * pictures))
        self._taken = 0
        self._sampler = Sampler(0, 0)
        self._size = (0, 0)
        self._counted: Counted | None = None

    async def watch(self, session: SurfaceSession) -> None:
        """The surface."""
        with session.video.subscribe() as frames:
            async for frame in frames:
                if self._counted is None:
                    self._counted = Counted(session, frames)
                    self.begun.set()
                else:
                    self._see(frame)

    def _see(self, frame: VideoFrame) -> None:
        size = (frame.width, frame.height)
        if size != self._size:
            self._size, self._sampler = size, Sampler(*size)
        seen = look(frame, self._sampler)
        if self._taken == len(self._at):  # more pictures than asked for: all are kept
            for kept in (self._at, self._numbers):
                kept.append(0)
            self._ages.append(0.0)
        self._at[self._taken], self._numbers[self._taken], self._ages[self._taken] = seen
        self._taken += 1

    @property
    def wrong(self) -> int:
        """Pictures that its statistics do not account for."""
        return self._counted.wrong(self._taken) if self._counted is not None else 0

    def seen(self, span: Span) -> Iterator[Seen]:
        """The pictures with a readable stamp that it took in that time."""
        for at_ns, number, age in zip(self._at, self._numbers, self._ages, strict=True):
            if span.start_ns <= at_ns < span.end_ns and number != UNREADABLE:
                yield Seen(at_ns, number, age)

    def ages(self, *spans: Span) -> list[float]:
        """How old those were, sorted."""
        return sorted(seen.age for span in spans for seen in self.seen(span))


def look(frame: VideoFrame, sampler: Sampler) -> Seen:
    """Read a picture's stamp now."""
    now = time.monotonic_ns()
    stamp = read_stamp(sampler.sample(frame.planes[0]))
    if stamp is None:
        return Seen(now, UNREADABLE, 0.0)
    return Seen(now, stamp.number, stamp.age_us(now) / 1000)


def missed(pictures: Sequence[Seen]) -> int:
    """How many pictures were sent between the first and the last of these, and are not here."""
    if not pictures:
        return 0
    sent = (pictures[-1].number - pictures[0].number) % SIZE + 1
    return sent - len(pictures)


@final
class Memory:
    """Looks at this process's memory from a thread of its own, for the length of a block."""

    def __init__(self) -> None:
        self._looks: list[tuple[int, float]] = []
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
            self._looks.append((time.monotonic_ns(), resident_mb()))

    def during(self, span: Span) -> list[float]:
        """Megabytes at each look in that time; now's if there was none."""
        found = [mb for at_ns, mb in tuple(self._looks) if span.start_ns <= at_ns < span.end_ns]
        return found or [resident_mb()]

    def growth(self, span: Span) -> float:
        """Megabytes from the middle of that time to its end, medians of a tenth each."""
        tenth = (span.end_ns - span.start_ns) // 10
        middle = (span.start_ns + span.end_ns) // 2
        begun = statistics.median(self.during(Span(middle, middle + tenth)))
        return statistics.median(self.during(Span(span.end_ns - tenth, span.end_ns))) - begun
