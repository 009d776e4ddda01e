"""What the readers of one case got: ages, gaps and copies of stamped frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias, final

import msgspec

from ..harness import percentile, spread
from .stamped_video import NUMBER_BITS, Sampler, Stamp, read_stamp

OnFrame: TypeAlias = Callable[[int, object, memoryview, int, int, int, int], None]
"""A reader has a frame: reader's number, the object it was handed, the Y plane, width, height,
bytes a row (0: width), and when this process got it in nanoseconds (0: not known)."""

Attach: TypeAlias = Callable[[int, OnFrame], AbstractAsyncContextManager[None]]
"""That many readers call back with every frame for the length of the block."""

SIZE: Final = 1 << NUMBER_BITS
KEPT: Final = 8  # frames whose first object is remembered, to tell copies from the same object


class FrameStatistics(msgspec.Struct, frozen=True):
    """One measured span, times in milliseconds."""

    sent: int
    """Frames sent in it, by their numbers."""
    p50: float
    p95: float
    p99: float
    """Sent to read, of the surface with the worst median."""
    added: float | None
    """From the SDK's stream to the surface, median; None where no channel lies between."""
    dropped: int
    """Frames that the surface with the most gaps did not get."""
    damaged: int
    """Frames without a readable stamp, over all surfaces."""
    copied: int
    """Bytes copied for each further surface and frame: 0 if all got one object."""
    width: int
    height: int


@final
class Recorder:
    """Notes what each reader gets, as cheaply as it can; evaluates it afterwards.

    Each frame costs every reader the same few microseconds, whichever way it came.
    """

    def __init__(self, readers: int) -> None:
        self._frames: list[list[tuple[int, bytes]]] = [[] for _ in range(readers)]
        self._added: list[int] = []
        self._firsts: dict[bytes, object] = {}
        self._copies = 0
        self._shared = 0
        self._size = (0, 0)
        self._sampler = Sampler(0, 0)

    def on_frame(
        self,
        reader: int,
        frame: object,
        luma: memoryview,
        width: int,
        height: int,
        stride: int,
        received_ns: int,
    ) -> None:
        """Note one frame of one reader; see `OnFrame`."""
        now = time.monotonic_ns()
        if (width, height) != self._size:
            self._size = (width, height)
            self._sampler = Sampler(width, height, stride)
        sampled = self._sampler.sample(luma)
        self._frames[reader].append((now, sampled))
        if received_ns:
            self._added.append(now - received_ns)
        first = self._firsts.get(sampled)
        if first is None:
            self._firsts[sampled] = frame
            if len(self._firsts) > KEPT:
                del self._firsts[next(iter(self._firsts))]
        elif first is frame:
            self._shared += 1
        else:
            self._copies += 1

    @property
    def begun(self) -> bool:
        """Whether every reader has got a frame."""
        return all(self._frames)

    @property
    def read(self) -> float:
        """Frames read so far, averaged over the readers."""
        return sum(map(len, self._frames)) / len(self._frames)

    def start(self) -> int:
        """Forget all frames; the number of the newest one, after which counting begins."""
        newest = self.newest()
        for frames in self._frames:
            frames.clear()
        self._added.clear()
        self._firsts.clear()
        self._copies = self._shared = 0
        return newest

    def newest(self) -> int:
        """The number of the newest frame that any reader got; 0 before the first."""
        lasts = [read_stamp(frames[-1][1]) for frames in self._frames if frames]
        numbers = [stamp.number for stamp in lasts if stamp is not None]
        if not numbers:
            return 0
        return max(numbers, key=lambda number: _ahead(number, numbers[0]))

    def result(self, first: int, last: int) -> FrameStatistics:
        """Sum up the frames numbered over `first` and up to `last`."""
        sent = _ahead(last, first)
        damaged = 0
        per_reader: list[list[float]] = []
        for frames in self._frames:
            stamps = [(now, read_stamp(sampled)) for now, sampled in frames]
            damaged += sum(stamp is None for _, stamp in stamps)
            per_reader.append(
                sorted(
                    stamp.age_us(now) / 1000
                    for now, stamp in stamps
                    if stamp is not None and _within(stamp, first, sent)
                )
            )
        worst = max(per_reader, key=lambda ages: percentile(ages, 0.5))
        further = self._copies + self._shared
        width, height = self._size
        return FrameStatistics(
            sent=sent,
            **spread(worst, 3),
            added=round(percentile(sorted(self._added), 0.5) / 1e6, 4) if self._added else None,
            dropped=max(sent - len(ages) for ages in per_reader),
            damaged=damaged,
            copied=round(self._copies / max(1, further) * width * height * 3 / 2),
            width=width,
            height=height,
        )


def _within(stamp: Stamp, first: int, sent: int) -> bool:
    return 0 < _ahead(stamp.number, first) <= sent


def _ahead(number: int, of: int) -> int:
    """How far a frame's number is ahead of another's, where numbers wrap around at `SIZE`."""
    return (number - of + SIZE // 2) % SIZE - SIZE // 2
