"""The numbers that channels and their readers show, and the small window they come from."""

from __future__ import annotations

from collections import deque
from typing import final

import msgspec

TIMING_WINDOW = 128  # newest measurements kept for each timing


class Timing(msgspec.Struct, frozen=True):
    """Nanoseconds over the newest measurements (at most 128); all zero before the first."""

    last_ns: int
    p50_ns: int
    p95_ns: int
    max_ns: int
    measured: int
    """How many measurements these are."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What can be read of one subscription in any thread."""

    label: str | None = None
    """The key of the surface that reads; None outside of surfaces."""
    delivered: int
    """Frames the reader took."""
    dropped: int
    """Frames it will never get: it was too slow, `max_fps` left them out, or it paused. Exact at
    any time in `ReaderStatistics` only."""
    latency: Timing
    """From received by this process to delivered to the reader."""
    hold: Timing
    """From delivered to the reader asking for its next frame: what its own work takes."""


class ReaderStatistics(Reading, frozen=True, kw_only=True):
    """One subscription so far; `received == delivered + dropped + waiting` always holds.

    A frame is received when it is pushed while the subscription is attached and not paused.
    """

    received: int
    waiting: int
    """Frames the reader would get now without waiting."""
    peak_waiting: int
    """The largest `waiting` seen when a frame was taken."""
    paused: bool


class ChannelStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One channel so far."""

    pushed: int
    """Frames pushed by the writer."""
    dropped: int
    """Frames lost before that because the event loop was blocked: the SDK holds 2 pictures and half
    a second of sound meanwhile. Losses in the network are counted by `track.get_stats()`."""
    demand: int
    """Readers attached and not paused."""
    held: int
    """Frames the channel itself keeps for its readers."""
    frames_alive: int
    """Frames of this channel that still exist, wherever they are held."""
    bytes_alive: int
    """Their memory, conversions included."""
    transit: Timing
    """From captured by the sender to received, for frames stamped with a wall-clock time; what the
    two clocks differ by is included, so it may be negative."""


@final
class TimingWindow:
    """The newest measurements; adding one is an append, percentiles are computed on reading."""

    def __init__(self) -> None:
        self._newest: deque[int] = deque(maxlen=TIMING_WINDOW)

    def add(self, elapsed_ns: int) -> None:
        """Take one measurement in."""
        self._newest.append(elapsed_ns)

    def read(self) -> Timing:
        """The percentiles of what is kept."""
        newest = tuple(self._newest)  # whole in one step: metrics are read in other threads
        if not newest:
            return Timing(0, 0, 0, 0, 0)
        ordered = sorted(newest)
        last = len(ordered) - 1
        p50, p95 = ordered[last // 2], ordered[last * 95 // 100]
        return Timing(newest[-1], p50, p95, ordered[last], len(ordered))
