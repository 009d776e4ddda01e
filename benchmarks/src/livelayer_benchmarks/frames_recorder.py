"""What the readers of one case saw: ages, gaps and copies of stamped pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias, final

import msgspec

from .picture import NUMBER_BITS, Sampler, Stamp, read_stamp
from .records import percentile

See: TypeAlias = Callable[[int, object, memoryview, int, int, int, int], None]
"""A reader has a picture: reader's number, the object it was handed, the Y plane, width, height,
bytes a row (0: width), and when this process got it in nanoseconds (0: not known)."""

Show: TypeAlias = Callable[[int, See], AbstractAsyncContextManager[None]]
"""That many readers call `see` for the length of the block."""

SIZE: Final = 1 << NUMBER_BITS
KEPT: Final = 8  # pictures whose first object is remembered, to tell copies from the same object


class Seen(msgspec.Struct, frozen=True):
    """One measured stretch, times in milliseconds."""

    sent: int
    """Pictures sent in it, by their numbers."""
    p50: float
    p95: float
    p99: float
    """Sent to read, of the surface with the worst median."""
    added: float | None
    """From the SDK's stream to the surface, median; None where no channel lies between."""
    dropped: int
    """Pictures that the surface with the most gaps did not get."""
    damaged: int
    """Pictures without a readable stamp, over all surfaces."""
    copied: int
    """Bytes copied for each further surface and picture: 0 if all got one object."""
    width: int
    height: int


@final
class Recorder:
    """Notes what each reader sees, as cheaply as it can; works it out afterwards.

    Each picture costs every reader the same few microseconds, whichever way it came.
    """

    def __init__(self, readers: int) -> None:
        self._seen: list[list[tuple[int, bytes]]] = [[] for _ in range(readers)]
        self._added: list[int] = []
        self._firsts: dict[bytes, object] = {}
        self._copies = 0
        self._shared = 0
        self._size = (0, 0)
        self._sampler = Sampler(0, 0)

    def see(
        self,
        reader: int,
        picture: object,
        luma: memoryview,
        width: int,
        height: int,
        stride: int,
        received_ns: int,
    ) -> None:
        """Take one picture of one reader in; see `See`."""
        now = time.monotonic_ns()
        if (width, height) != self._size:
            self._size = (width, height)
            self._sampler = Sampler(width, height, stride)
        sampled = self._sampler.sample(luma)
        self._seen[reader].append((now, sampled))
        if received_ns:
            self._added.append(now - received_ns)
        first = self._firsts.get(sampled)
        if first is None:
            self._firsts[sampled] = picture
            if len(self._firsts) > KEPT:
                del self._firsts[next(iter(self._firsts))]
        elif first is picture:
            self._shared += 1
        else:
            self._copies += 1

    @property
    def begun(self) -> bool:
        """Whether every reader has seen a picture."""
        return all(self._seen)

    @property
    def shown(self) -> float:
        """Pictures read so far, averaged over the readers."""
        return sum(map(len, self._seen)) / len(self._seen)

    def start(self) -> int:
        """Forget what was seen; the number of the newest picture, after which counting begins."""
        newest = self.newest()
        for seen in self._seen:
            seen.clear()
        self._added.clear()
        self._firsts.clear()
        self._copies = self._shared = 0
        return newest

    def newest(self) -> int:
        """The number of the newest picture that any reader saw; 0 before the first."""
        lasts = [read_stamp(seen[-1][1]) for seen in self._seen if seen]
        numbers = [stamp.number for stamp in lasts if stamp is not None]
        if not numbers:
            return 0
        return max(numbers, key=lambda number: _ahead(number, numbers[0]))

    def result(self, first: int, last: int) -> Seen:
        """Sum up the pictures numbered over `first` and up to `last`."""
        sent = _ahead(last, first)
        damaged = 0
        per_reader: list[list[float]] = []
        for seen in self._seen:
            stamps = [(now, read_stamp(sampled)) for now, sampled in seen]
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
        return Seen(
            sent=sent,
            p50=round(percentile(worst, 0.5), 3),
            p95=round(percentile(worst, 0.95), 3),
            p99=round(percentile(worst, 0.99), 3),
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
    """How far a picture's number is ahead of another's, which came round less than half."""
    return (number - of + SIZE // 2) % SIZE - SIZE // 2
