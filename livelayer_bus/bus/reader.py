"""Subscription: one reader's cursor on the ring, read by item, by record or by batch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import length_hint
from threading import get_ident
from typing import Any, Generic, Self, TypeVar, cast, final

import msgspec

from .. import errors
from .loop_guard import Slot
from .ring import Group, Ring, Types, wake

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)
S_co = TypeVar("S_co", covariant=True)

TURN = 256  # events that a reader takes before it lets the event loop run


class Record(msgspec.Struct, Generic[E], frozen=True):
    """An event with its place in the order of the bus."""

    sequence: int
    time_ns: int
    """When it was published: `livelayer_bus.clock.now_ns()`."""
    event: E


class SubscriptionStatistics(msgspec.Struct, frozen=True):
    """What one reader has seen, counted in events that it wants."""

    delivered: int
    """Events handed out."""
    missed: int
    """Events overwritten before this reader took them, as reported by `Lagged`."""
    skipped: int
    """Events that `resync()` passed over."""
    lag: int
    """Events published and not taken yet."""
    peak_lag: int
    """The largest lag found when the reader asked for more."""
    wakeups: int
    """Times the reader waited and an event woke it."""


@dataclass(eq=False, slots=True)
class _Pull(Generic[E]):
    """An async iterator over the results of a coroutine function, called once for each item."""

    _pull: Callable[[int], Awaitable[E]]
    _limit: int

    def __aiter__(self) -> AsyncIterator[E]:
        return self

    def __anext__(self) -> Awaitable[E]:
        return self._pull(self._limit)


@final
class Subscription(Generic[E_co, S_co]):
    """One reader of a bus. Open it with `with`, then iterate.

    Guarantee: the reader gets every event that is published after the attach point and that the
    filter wants, once, in order. `Lagged` reports the exact number of events that the ring
    overwrote before the reader took them; no event is lost silently, and a cancelled wait loses
    none. The cursor is set on entry to the `with` block. A reader belongs to one task at a time. It
    delays neither the publisher nor other readers, and lets the event loop run at least every 256
    events. When the bus is closed, iteration ends after the events that the ring still holds.

    Numbers of events (`lag`, `missed`) count only those that the filter wants. The three forms of
    iteration share one cursor and may be mixed.
    """

    # `_taken` is the number of the next event to take (see `Group`), as of the last `_settle`.
    # `_chunk` looks events up in the ring's own list as they are asked for, so nothing is copied
    # and nothing overwritten stays alive. `_index` feeds it: what is left of it, compared with
    # `_left`, tells how many of `_positions` were handed out. Events before `_floor` are unwanted.
    def __init__(self, ring: Ring, types: Types, after: int | None) -> None:
        self._ring = ring
        self._types = types
        self._after = after
        self._snapshot: tuple[S_co] | None = None
        self._state = _NEW
        self._group: Group | Ring = ring
        self._chunk: Iterator[E_co] = _EMPTY
        self._index: Iterator[Any] = _EMPTY
        self._positions: Sequence[int] = ()
        self._left = self._filled = self._taken = self._origin = 0
        self._floor = self._last = 0
        self._owed = 0  # events that `after` asked for and the ring had lost before
        self._credit = TURN  # events to hand out before the event loop must run
        self._pause: Slot | None = None
        self._missed = self._skipped = self._peak_lag = self._wakeups = 0

    def __enter__(self) -> Self:
        """Attach: set the cursor, and take the snapshot that belongs to it.

        Raises:
            StaleCursorError: `after` is in the future.
            WrongLoopError: the bus belongs to another thread or event loop.
            ClosedError: the bus or this subscription is closed.
            MisuseError: the subscription is already open.
        """
        if self._state is _OPEN:
            raise errors.MisuseError("this subscription is already open: enter each one once")
        if self._state is _CLOSED:
            raise errors.ClosedError("this subscription", "subscribe again")
        ring, after = self._ring, self._after
        ring.check_thread("subscribe()")
        ring.guard.adopt_running_loop("Bus.subscribe()")
        if after is None:
            after = ring.published
        elif not 0 <= after <= ring.published:
            reason = f"the bus has published {ring.published} events so far"
            raise errors.StaleCursorError(str(after), reason)
        self._last = after
        start = max(after, ring.tail)
        self._owed = start - after
        self._floor = -1 if self._owed else start  # -1: the first read must report what is owed
        self._group = ring.join(self._types, start, self)
        self._taken = self._origin = self._group.number_at(start)
        if self._after is None:
            self._snapshot = (ring.state,)
        self._state = _OPEN
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Detach, as leaving the block does. A task that waits in it gets `ClosedError`."""
        self._drop_chunk()
        self._state = _CLOSED
        self._ring.leave(self._group, self)
        parked = self._group.parked
        if self._pause is not None and self._pause in parked:
            parked.remove(self._pause)
            wake([self._pause], 0)

    @property
    def sequence(self) -> int:
        """The sequence of the last event handed out; before the first, of the attach point.

        After `Lagged`, and after `resync()`, that of the last event passed over.
        """
        self._settle()
        return self._last

    @property
    def lag(self) -> int:
        """Events published that this reader wants and has not taken yet."""
        self._settle()
        return self._group.published - self._taken + self._owed

    @property
    def snapshot(self) -> S_co:
        """The state as of the attach point, or of the last `resync()`.

        A subscription made with `after` has no snapshot until `resync()`: its caller already has
        the state as of `after`, and with a newer one would apply events twice.

        Raises:
            NotSupportedError: the bus has no state.
            MisuseError: the subscription is not open yet, or was made with `after`.
        """
        if not self._ring.has_state:
            raise errors.NotSupportedError("snapshots", "this bus")
        if self._snapshot is None:
            hint = "enter it first, and without after= (or call resync())"
            raise errors.MisuseError(f"this subscription has no snapshot: {hint}")
        return self._snapshot[0]

    def resync(self) -> S_co:
        """Move the cursor to the newest event; return the state as of there, now also `snapshot`.

        On a bus without a state the return value is None.

        Raises:
            ClosedError: the subscription is closed.
            MisuseError: the subscription is not open yet.
        """
        self._check_open()
        self._skipped += self.lag
        self._drop_chunk()
        self._origin += self._group.published - self._taken
        self._taken = self._group.published
        self._last = self._floor = self._ring.published
        self._owed = 0
        self._snapshot = (self._ring.state,)
        return self._snapshot[0]

    def statistics(self) -> SubscriptionStatistics:
        """Return what this reader has seen so far, in numbers."""
        lag = self.lag
        return SubscriptionStatistics(
            delivered=self._taken - self._origin,
            missed=self._missed,
            skipped=self._skipped,
            lag=lag,
            peak_lag=max(self._peak_lag, lag),
            wakeups=self._wakeups,
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E_co:
        """Return the next event, waiting for it if there is none yet.

        Raises:
            Lagged: events were overwritten unread; the next call returns the oldest kept.
            BusyError: another task waits in this subscription.
            ClosedError: the subscription is closed.
            MisuseError: the subscription is not open yet.
            WrongLoopError: the bus belongs to another thread or event loop.
        """
        if self._ring.tail <= self._floor:
            for event in self._chunk:
                return event
        while (pause := self._prepare()) is not None:
            woken_by = 0
            try:
                woken_by = await pause
            except RuntimeError as error:
                self._ring.guard.convert_wait_error(error)
            finally:
                self._pause = None
                if woken_by:
                    self._wakeups += 1
                elif pause in self._group.parked:  # cancelled, or only a turn of the loop
                    self._group.parked.remove(pause)
            ring = self._ring
            # What woke this reader is the next event, unless it was overwritten or passed over.
            if self._floor < woken_by > ring.tail and self._state is _OPEN:
                lag = self._group.published - self._taken
                if lag > self._peak_lag:
                    self._peak_lag = lag
                self._taken += 1
                self._last = self._floor = woken_by
                first: E_co = ring.events[(woken_by - 1) % ring.capacity]
                return first
        self._fill()
        return next(self._chunk)

    def records(self) -> AsyncIterator[Record[E_co]]:
        """Iterate over events with their sequence and time; raises what iteration raises."""
        return _Pull(self._next_record, 1)

    def batches(self, limit: int | None = None) -> AsyncIterator[tuple[E_co, ...]]:
        """Iterate over non-empty batches of everything there is: the fastest way to read.

        Readers that are equally far share one tuple. The event loop runs between two batches once
        256 events were handed out since it last ran. Raises what iteration raises.

        Args:
            limit: The most events in a batch; by default as many as the ring holds.

        Raises:
            MisuseError: `limit` is below 1.
        """
        if limit is not None and limit < 1:
            raise errors.MisuseError(f"limit must be at least 1, got {limit}")
        return _Pull(self._next_batch, limit or self._ring.capacity)

    async def _next_record(self, _limit: int) -> Record[E_co]:
        event = await self.__anext__()
        self._settle()
        ring, sequence = self._ring, self._last
        return Record(sequence, ring.times[(sequence - 1) % ring.capacity], event)

    async def _next_batch(self, limit: int) -> tuple[E_co, ...]:
        while (pause := self._prepare()) is not None:
            woken_by = 0
            try:
                woken_by = await pause
            except RuntimeError as error:
                self._ring.guard.convert_wait_error(error)
            finally:
                self._pause = None
                if woken_by:
                    self._wakeups += 1
                elif pause in self._group.parked:
                    self._group.parked.remove(pause)
            if self._floor < woken_by > self._ring.tail and self._state is _OPEN:
                break  # as in `__anext__`
        group, number = self._group, self._taken
        count = group.published - number
        if count > self._peak_lag:
            self._peak_lag = count
        if count > limit:
            count = limit
        self._credit = self._credit - count if count < self._credit else 0
        self._taken = number + count
        batch, self._last = self._ring.share(group, number, count)
        self._floor = self._last
        return batch

    def _prepare(self) -> Slot | None:
        """Return None if there is a wanted event and credit to hand it out, or what to wait for."""
        ring = self._ring
        if self._pause is not None or self._state is not _OPEN or get_ident() != ring.guard.thread:
            self._refuse()
        if self._positions:
            self._drop_chunk()
        if self._floor < ring.tail:
            self._fall_out()
        group, guard = self._group, ring.guard
        is_behind = group.published > self._taken
        if is_behind and self._credit:
            return None
        if ring.closed and not is_behind:
            raise StopAsyncIteration
        if not guard.waits_check_the_loop:
            guard.require_running_loop("a subscription")
        self._credit = TURN
        if is_behind:
            self._pause = pause = cast(Slot, guard.checkpoint())  # never parked: only awaited
        else:
            self._floor = ring.published
            self._pause = pause = guard.new_slot()
            group.parked.append(pause)
        return pause

    def _fill(self) -> None:
        """Set up the chunk: as far as the credit, the wanted events and the ring's end allow."""
        ring, group, number = self._ring, self._group, self._taken
        capacity = ring.capacity
        lag = group.published - number
        if lag > self._peak_lag:
            self._peak_lag = lag
        count = min(lag, self._credit)
        positions = group.locate(number, count)
        self._filled = number
        self._floor = positions[0]
        self._positions = positions
        if isinstance(positions, range):  # side by side: no lookup of each is needed
            slot = number % capacity
            self._left = capacity - slot
            count = min(count, self._left)
            self._index = index = iter(ring.events)
            cast(Any, index).__setstate__(slot)
            self._chunk = islice(index, count)
        else:
            self._left = count
            self._index = iter([position % capacity for position in positions])
            self._chunk = map(ring.events.__getitem__, self._index)
        self._credit -= count

    def _settle(self) -> None:
        if self._positions:
            handed = self._left - length_hint(self._index)
            if handed:
                self._taken = self._filled + handed
                self._last = self._positions[handed - 1] + 1

    def _drop_chunk(self) -> None:
        self._settle()
        self._chunk = self._index = _EMPTY
        self._positions = ()

    def _fall_out(self) -> None:
        """Go on at the oldest kept event; raise `Lagged` if wanted events were lost on the way."""
        ring = self._ring
        if ring.forked:
            raise errors.ForkedError("this bus")
        missed, self._owed = self._owed, 0
        self._floor = max(self._floor, ring.tail)
        oldest = self._group.number_at(self._floor)
        if oldest > self._taken:
            passed, self._taken = oldest - self._taken, oldest
            self._origin += passed
            missed += passed
        if missed:
            self._missed += missed
            self._last = self._floor
            self._peak_lag = max(self._peak_lag, missed + self.lag)
            raise errors.Lagged(missed)

    def _refuse(self) -> None:
        if self._pause is not None:
            hint = "another task waits in it; give each task its own"
            raise errors.BusyError("this subscription", hint)
        self._check_open()
        raise self._ring.guard.wrong_thread("a subscription", "subscribe on a bus of this thread")

    def _check_open(self) -> None:
        if self._state is _CLOSED:
            raise errors.ClosedError("this subscription", "subscribe again")
        if self._state is _NEW:
            hint = "use it inside its 'with' block"
            raise errors.MisuseError(f"this subscription is not open: {hint}")


_EMPTY: Iterator[Any] = iter(())
_NEW, _OPEN, _CLOSED = "new", "open", "closed"
