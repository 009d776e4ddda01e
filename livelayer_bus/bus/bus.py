"""The event bus: one ring of the latest events, and a cursor for each reader."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from time import monotonic_ns
from typing import Any, Generic, TypeVar, overload

import msgspec

from ..errors import ForkedError, Lagged, MisuseError
from .inbox import Door
from .reader import Subscription
from .records import Record, SubscriptionStatistics
from .ring import Ring, wake

__all__ = ["Bus", "BusStatistics", "Lagged", "Record", "Subscription", "SubscriptionStatistics"]

B = TypeVar("B")
S = TypeVar("S")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")

DEFAULT_CAPACITY = 4096  # events
DEFAULT_MAX_BYTES = 16 * 1024 * 1024


class BusStatistics(msgspec.Struct, frozen=True):
    """What a bus holds, has dropped and serves."""

    published: int
    """Events published so far; the sequence of the newest."""
    kept: int
    """Events a reader can still get."""
    peak_kept: int
    """The most events kept at once."""
    bytes: int
    """What the kept events weigh."""
    peak_bytes: int
    """The most they ever weighed."""
    evicted_by_count: int
    """Events overwritten because `capacity` newer ones came."""
    evicted_by_bytes: int
    """Events overwritten because newer ones needed their bytes."""
    readers: int
    """Open subscriptions."""
    idle_readers: int
    """Readers that wait for an event."""
    handed_over: int
    """Events from other threads that the event loop has yet to publish."""
    refused: int
    """Events from other threads that found the door full, or the bus closed before their turn."""


class Bus(Generic[B, S]):
    """One publisher's events for any number of readers, each at its own pace.

    Guarantee: events have one order and consecutive sequences from 1 on. Publishing is synchronous,
    takes the same short time however many readers there are (plus one wake-up for each idle reader
    that wants the event), runs no reader's code and never waits. The ring keeps the newest
    `capacity` events, or fewer if they weigh more than `max_bytes` together; a single event heavier
    than that is kept alone until the next one. A reader that falls out of the ring is told by
    `Lagged`; nobody else notices.

    `B` is the base type of the events, `S` the type of the snapshots (None without them):
    `bus: Bus[Event, SessionState] = Bus(snapshot=lambda: state)`.

    A bus belongs to the thread that made it and to the first event loop that reads from it. Once
    that loop is closed, the next one in the same thread takes over (a second `asyncio.run`). A bus
    that was never used follows an event loop to another thread.

    Args:
        capacity: Events kept at most.
        max_bytes: Weight of the kept events at most.
        weigh: Returns the weight of an event in bytes. By default text and bytes in an event's own
            fields count, or what its `nbytes` says, on top of 64 bytes each.
        snapshot: Returns the state as of the newest event, which its owner must bring up to date in
            the same synchronous step that publishes the event. Called on attach and `resync()`.

    Raises:
        MisuseError: `capacity` or `max_bytes` is below 1.
    """

    __slots__ = ("__weakref__", "_door", "_ring", "_snapshot")

    @overload
    def __init__(
        self: Bus[Any, None],
        capacity: int = ...,
        max_bytes: int = ...,
        *,
        weigh: Callable[[Any], int] | None = None,
        snapshot: None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        capacity: int = ...,
        max_bytes: int = ...,
        *,
        weigh: Callable[[Any], int] | None = None,
        snapshot: Callable[[], S],
    ) -> None: ...
    def __init__(
        self,
        capacity: int = DEFAULT_CAPACITY,
        max_bytes: int = DEFAULT_MAX_BYTES,
        *,
        weigh: Callable[[Any], int] | None = None,
        snapshot: Callable[[], S] | None = None,
    ) -> None:
        self._ring = Ring(capacity, max_bytes, weigh)
        self._door = Door(self._ring)
        self._snapshot = snapshot
        self._ring.owner.adopt_running_loop("Bus()")

    @property
    def sequence(self) -> int:
        """Events published so far: the sequence of the newest, 0 before the first."""
        return self._ring.sequence

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        return self._ring.closed

    def publish(self, event: B) -> int:
        """Append an event and return its sequence; on error nothing was published.

        Raises:
            WrongLoopError: called from another thread than the bus's.
            ClosedError: the bus is closed.
            ForkedError: the bus was made before this process was forked.
        """
        ring = self._ring
        if type(event) not in ring.light or get_ident() != ring.thread:
            return ring.append(event)
        position = ring.sequence
        slot = position % ring.capacity
        ring.events[slot] = event
        ring.times[slot] = monotonic_ns()
        if position - ring.tail == ring.capacity:
            ring.tail += 1
        ring.sequence = sequence = position + 1
        if ring.parked:
            wake(ring.parked, sequence)
        return sequence

    def publish_from_thread(self, event: B) -> None:
        """Hand an event to the bus's event loop, from any thread, and return at once.

        The loop publishes it at its next turn, in the order of the calls of one thread; before a
        loop has used the bus, events wait for it. There is no sequence to return yet.

        Raises:
            BusyError: `capacity` events wait already: the loop is blocked. The event was not taken.
            ClosedError: the bus is closed.
            ForkedError: the bus was made before this process was forked.
        """
        self._door.hand_over(event)

    @overload
    def subscribe(self, *, after: int | None = None) -> Subscription[B, S]: ...
    @overload
    def subscribe(self, t1: type[T1], /, *, after: int | None = None) -> Subscription[T1, S]: ...
    @overload
    def subscribe(
        self, t1: type[T1], t2: type[T2], /, *, after: int | None = None
    ) -> Subscription[T1 | T2, S]: ...
    @overload
    def subscribe(
        self, t1: type[T1], t2: type[T2], t3: type[T3], /, *, after: int | None = None
    ) -> Subscription[T1 | T2 | T3, S]: ...
    @overload
    def subscribe(
        self,
        t1: type[T1],
        t2: type[T2],
        t3: type[T3],
        t4: type[T4],
        /,
        *,
        after: int | None = None,
    ) -> Subscription[T1 | T2 | T3 | T4, S]: ...
    @overload
    def subscribe(
        self,
        t1: type[T1],
        t2: type[T2],
        t3: type[T3],
        t4: type[T4],
        t5: type[T5],
        /,
        *,
        after: int | None = None,
    ) -> Subscription[T1 | T2 | T3 | T4 | T5, S]: ...
    @overload
    def subscribe(self, *types: type[T1], after: int | None = None) -> Subscription[T1, S]: ...
    def subscribe(self, *types: Any, after: int | None = None) -> Subscription[Any, S]:
        """Return a reader of the events of these types (of all events, without any).

        A type includes its subclasses; what a concrete type is, is found out once. A reader is
        woken only for events it wants, and unwanted ones never push it out of the ring.

        Args:
            types: What to read; resolved like `isinstance`.
            after: Read on after this sequence instead of from now. If the ring has lost some of
                that already, the first read raises `Lagged`. With `types`, those lost events cannot
                be told apart any more and all count as missed.

        Raises:
            MisuseError: something in `types` is not a type.
        """
        for kind in types:
            if not isinstance(kind, type):
                raise MisuseError(f"subscribe() takes types of events, not {type(kind).__name__}")
        return Subscription(self._ring, tuple(dict.fromkeys(types)), after, self._snapshot)

    def statistics(self) -> BusStatistics:
        """Return what the bus holds, has dropped and serves, in numbers.

        Raises:
            ForkedError: the bus was made before this process was forked.
        """
        ring = self._ring
        if ring.forked:
            raise ForkedError("this bus")
        kept = ring.sequence - ring.tail
        groups = (ring.everyone, *ring.filtered.values())
        return BusStatistics(
            published=ring.sequence,
            kept=kept,
            peak_kept=max(ring.peak_kept, kept),
            bytes=ring.bytes,
            peak_bytes=ring.peak_bytes,
            evicted_by_count=ring.tail - ring.evicted_by_bytes,
            evicted_by_bytes=ring.evicted_by_bytes,
            readers=sum(len(group.readers) for group in groups),
            idle_readers=sum(len(group.parked) for group in groups),
            handed_over=self._door.waiting,
            refused=self._door.refused,
        )

    def close(self) -> None:
        """Take no more events. Readers end after what the ring holds. Closing twice is harmless.

        Raises:
            WrongLoopError: called from another thread than the bus's.
            ForkedError: the bus was made before this process was forked.
        """
        if self._ring.closed:
            return
        self._ring.check_thread("close()")
        self._door.drain()
        self._ring.close()
