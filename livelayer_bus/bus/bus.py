"""The event bus: one ring of the latest events, and a cursor for each reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar, overload
from weakref import WeakMethod

import msgspec

from ..errors import BusyError, ClosedError, ForkedError, MisuseError
from .inbox import Inbox
from .reader import Subscription
from .ring import Group, Ring

B = TypeVar("B")
S = TypeVar("S")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")


class BusStatistics(msgspec.Struct, frozen=True):
    """What a bus holds, has dropped and serves."""

    published: int
    """Events published so far; the sequence of the newest."""
    kept: int
    """Events a reader can still get."""
    peak_kept: int
    """The most events kept at once."""
    bytes: int
    """What the kept events weigh together."""
    peak_bytes: int
    """The most they ever weighed together."""
    evicted_by_count: int
    """Events overwritten because `capacity` newer ones came, or passed over by `restart`."""
    evicted_by_bytes: int
    """Events overwritten because newer ones needed their bytes."""
    readers: int
    """Open subscriptions."""
    idle_readers: int
    """Readers that wait for an event."""
    handed_over: int
    """Events from other threads that the event loop has not published yet."""
    refused: int
    """Events from other threads that found the inbox full, or the bus closed before their turn."""


class Bus(Generic[B, S]):
    """One publisher's events for any number of readers, each at its own pace.

    Guarantee: events have one order and consecutive sequences from 1 on. Publishing is synchronous,
    takes the same short time however many readers there are (plus one wake-up for each idle reader
    that wants the event), runs no reader's code and never waits. The ring keeps the newest
    `capacity` events, or fewer if they weigh more than `max_bytes`; a heavier one is kept alone. A
    reader that falls out of the ring gets `Lagged`; others are not affected. An event and its
    change of the state are one step: a snapshot and the events after it have no gap and no overlap.

    `B` is the base type of the events, `S` the type of the state (None without one):
    `bus: Bus[Event, int] = Bus(state=0, reducers={Event: lambda count, event: count + 1})`.

    An event weighs what its type declares as `bus_weight`: a constant in bytes, or a function of
    the event that returns what counts beyond 256; else its `nbytes`, or the text in its fields.

    A bus belongs to the thread that made it and to the first event loop that reads from it. Once
    that loop is closed, the next one in the same thread takes its place. A bus that was never used
    follows an event loop to another thread.

    Args:
        capacity: The most events to keep.
        max_bytes: The most bytes that the kept events weigh together.
        state: The state before the first event.
        reducers: What the events of a type make of the state: `reducer(state, event) -> state`. The
            nearest base class counts; a type without a reducer does not change the state.
        as_of: Writes a sequence into a state: `as_of(state, sequence) -> state`. Called when the
            state is read, so that an event which does not change it costs nothing.

    Raises:
        MisuseError: `capacity` or `max_bytes` is below 1.
    """

    @overload
    def __init__(self: Bus[Any, None], capacity: int = ..., max_bytes: int = ...) -> None: ...
    @overload
    def __init__(
        self,
        capacity: int = ...,
        max_bytes: int = ...,
        *,
        state: S,
        reducers: Mapping[type[Any], Callable[[S, Any], S]],
        as_of: Callable[[S, int], S] | None = None,
    ) -> None: ...
    def __init__(
        self,
        capacity: int = 4096,
        max_bytes: int = 16 * 1024 * 1024,
        *,
        state: S | None = None,
        reducers: Mapping[type[Any], Callable[[S, Any], S]] | None = None,
        as_of: Callable[[S, int], S] | None = None,
    ) -> None:
        self._ring = ring = Ring(capacity, max_bytes, state, reducers or {}, as_of)
        self.publish: Final[Callable[[B], int]] = ring.append
        """Append an event and return its sequence; on error nothing was published.

        Raises:
            WrongLoopError: called from another thread than the bus's.
            ClosedError: the bus is closed.
            ForkedError: the bus was made before this process was forked.
        """
        self._inbox: Inbox[B] = Inbox(ring.append, ring.guard.call_soon, capacity)
        ring.guard.on_adopt = WeakMethod(self._inbox.schedule)
        ring.guard.adopt_running_loop("Bus()")

    @property
    def sequence(self) -> int:
        """Events published so far: the sequence of the newest, 0 before the first."""
        return self._ring.published

    @property
    def state(self) -> S:
        """The state as of the newest event; readable from any thread. None without one."""
        state: S = self._ring.state
        return state

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        return self._ring.closed

    def restart(self, sequence: int, state: S) -> None:
        """Drop what is kept, and go on after `sequence` with `state`: a copy of another bus.

        The next event is `sequence + 1`. Open readers get `Lagged` with what they have not taken
        and what this bus never had; with a filter, all of that counts.

        Raises:
            MisuseError: `sequence` is behind the bus.
            WrongLoopError, ClosedError, ForkedError: as `publish`.
        """
        self._ring.restart(sequence, state)

    def publish_from_thread(self, event: B) -> None:
        """Hand an event to the bus's event loop, from any thread, and return at once.

        The loop publishes it at its next turn, in the order of the calls of one thread. Before a
        loop uses the bus, events wait for one.

        Raises:
            BusyError: `capacity` events are waiting: the loop is blocked. The event was not taken.
            ClosedError: the bus is closed.
            ForkedError: the bus was made before this process was forked.
        """
        ring = self._ring
        if ring.forked:
            raise ForkedError("this bus")
        if ring.closed or not self._inbox.put(event):
            if ring.closed:
                raise ClosedError("this bus")
            hint = f"{ring.capacity} events wait for the event loop to run; try again later"
            raise BusyError("the bus's inbox", hint)

    @overload
    def subscribe(self, *, after: int | None = None) -> Subscription[B, S]: ...
    @overload
    def subscribe(
        self, t1: type[T1], t2: type[T2], /, *, after: int | None = None
    ) -> Subscription[T1 | T2, S]: ...
    @overload
    def subscribe(
        self, t1: type[T1], t2: type[T2], t3: type[T3], /, *, after: int | None = None
    ) -> Subscription[T1 | T2 | T3, S]: ...
    @overload
    def subscribe(self, *types: type[T1], after: int | None = None) -> Subscription[T1, S]: ...
    def subscribe(self, *types: Any, after: int | None = None) -> Subscription[Any, S]:
        """Return a reader of the events of these types; of all events if none is given.

        A type includes its subclasses, as for `isinstance`. A reader is woken only for events that
        it wants, and other events never push it out of the ring.

        Args:
            types: The types of events to read.
            after: Read the events after this sequence, not only those from now on. Of those that
                are overwritten already, of whatever type, the first read raises `Lagged`.

        Raises:
            MisuseError: one of `types` is not a type.
        """
        for kind in types:
            if not isinstance(kind, type):
                raise MisuseError(f"subscribe() takes types of events, got {kind!r}")
        return Subscription(self._ring, tuple(dict.fromkeys(types)), after)

    def statistics(self) -> BusStatistics:
        """Return what the bus holds, has dropped and serves, in numbers.

        Raises:
            ForkedError: the bus was made before this process was forked.
        """
        ring = self._ring
        if ring.forked:
            raise ForkedError("this bus")
        kept = ring.published - ring.tail
        groups: list[Ring | Group] = [ring, *ring.filtered.values()]
        return BusStatistics(
            published=ring.published,
            kept=kept,
            peak_kept=ring.peak_kept,
            bytes=ring.bytes,
            peak_bytes=ring.peak_bytes,
            evicted_by_count=ring.tail - ring.evicted_by_bytes,
            evicted_by_bytes=ring.evicted_by_bytes,
            readers=sum(len(group.readers) for group in groups),
            idle_readers=sum(len(group.parked) for group in groups),
            handed_over=self._inbox.waiting,
            refused=self._inbox.refused,
        )

    def close(self) -> None:
        """Take no more events. Readers end after what the ring holds. Closing twice is harmless.

        Events that other threads have handed over by now are published first.

        Raises:
            WrongLoopError: called from another thread than the bus's.
            ForkedError: the bus was made before this process was forked.
        """
        if self._ring.closed:
            return
        self._ring.check_thread("close()")
        try:
            self._inbox.drain()
        finally:
            self._ring.close()
            self._inbox.close()
