"""What a reader hands out beside bare events: records, and its numbers."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

E = TypeVar("E")


class Record(msgspec.Struct, Generic[E], frozen=True):
    """An event with its place in the order of the bus."""

    sequence: int
    time_ns: int
    """When it was published: `time.monotonic_ns()`."""
    event: E


class SubscriptionStatistics(msgspec.Struct, frozen=True):
    """What one reader has seen, in numbers of events it wants."""

    delivered: int
    """Events handed out."""
    missed: int
    """Events overwritten before this reader took them, as `Lagged` told."""
    skipped: int
    """Events `resync()` passed over."""
    lag: int
    """Events published and not yet taken."""
    peak_lag: int
    """The largest lag found when the reader came for more."""
    wakeups: int
    """Times the reader waited and was woken by an event."""
