"""Subscription: one reader's cursor on the ring, read by item, by record or by batch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from itertools import islice
from operator import length_hint
from threading import get_ident
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, cast, final

import msgspec

from ..errors import (
    BusyError,
    ClosedError,
    ForkedError,
    Lagged,
    MisuseError,
    NotSupportedError,
    StaleCursorError,
)
from .owner import Slot
from .ring import Ring, Types, wake

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)
S_co = TypeVar("S_co", covariant=True)

TURN = 256  # events a reader takes before it lets the event loop run


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


class _Seekable(Protocol):
    """What a list's iterator offers beside iteration."""

    def __setstate__(self, index: int, /) -> None: ...


class _Pull(Generic[E]):
    """An async iterator over what one coroutine function returns, call after call."""

    __slots__ = ("_pull",)

    def __init__(self, pull: Callable[[], Awaitable[E]]) -> None:
        self._pull = pull

    def __aiter__(self) -> AsyncIterator[E]:
        return self

    def __anext__(self) -> Awaitable[E]:
        return self._pull()


@final
class Subscription(Generic[E_co, S_co]):
    """One reader of a bus. Open it with `with`, then iterate.

    Guarantee: every event published after the attach point that the filter wants, once, in order.
    What the ring overwrote before the reader came is told by `Lagged`, with the exact number;
    nothing is lost in silence, and a cancelled wait loses nothing. The cursor is set on entry to
    the `with` block. A reader belongs to one task at a time; it holds up neither the publisher nor
    other readers, and lets the event loop run at least every 256 events. When the bus is closed,
    iteration ends after what the ring still holds.

    Numbers of events (`lag`, `missed`) count only those the filter wants. One cursor feeds all
    three forms of iteration; they may be mixed.
    """

    __slots__ = (
        "__weakref__", "_after", "_chunk", "_credit", "_filtered", "_group", "_index", "_last",
        "_left", "_missed", "_owed", "_pause", "_peak_lag", "_ring", "_skipped", "_snapshot",
        "_source", "_start", "_state", "_taken", "_types", "_uncounted", "_wakeups",
    )  # fmt: skip

    def __init__(
        self,
        ring: Ring,
        types: Types,
        after: int | None,
        snapshot: Callable[[], S_co] | None,
    ) -> None:
        self._ring = ring
        self._types = types
        self._after = after
        self._source = snapshot
        self._snapshot: tuple[S_co] | None = None
        self._state = _NEW
        self._group = ring.everyone
        self._filtered = bool(types)
        self._pause: Slot | None = None
        # `_chunk` hands out wanted events that lie side by side from position `_start` on. It walks
        # the ring's own list through `_index`, so nothing is copied and nothing overwritten stays
        # alive; it is valid until the ring's tail passes `_start`. `_left` is what remained of the
        # list when `_start` was true.
        self._start = 0
        self._left = 0
        self._index: Iterator[E_co] = iter(())
        self._chunk: Iterator[E_co] = iter(())
        self._last = 0  # filtered: the last event handed out, missed or skipped
        self._taken = 0  # filtered: wanted events before `_start`, in the group's count
        self._uncounted = 0  # events that were not handed out, and where the count began
        self._owed = 0  # events older than the ring that `after` asked for
        self._credit = TURN  # events to hand out before the event loop must run
        self._missed = self._skipped = self._peak_lag = self._wakeups = 0

    def __enter__(self) -> Self:
        """Attach: set the cursor, and take the snapshot that belongs to it.

        Raises:
            StaleCursorError: `after` lies in the future.
            WrongLoopError: another thread or event loop owns the bus.
            ClosedError: the bus, or this subscription, is closed.
            MisuseError: the subscription is open already.
        """
        if self._state is _OPEN:
            raise MisuseError("this subscription is open: enter each one once")
        if self._state is _CLOSED:
            raise ClosedError("this subscription", "subscribe again")
        ring = self._ring
        ring.check_thread("subscribe()")
        ring.owner.adopt_running_loop("Bus.subscribe()")
        after = ring.sequence if self._after is None else self._after
        if not 0 <= after <= ring.sequence:
            raise StaleCursorError(
                str(after), f"the bus has published {ring.sequence} events so far"
            )
        self._group = group = ring.join(self._types, self)
        self._start = self._taken = self._last = after
        if self._filtered:
            if after < group.born:
                ring.count_from_tail(group)
            self._start = max(after, ring.tail)
            self._owed = self._start - after
            self._taken = ring.index_of(group, self._start)
        self._uncounted = self._passed
        if self._source is not None and self._after is None:
            self._snapshot = (self._source(),)
        self._state = _OPEN
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Detach. A task that waits in this subscription wakes up with `ClosedError`."""
        self._settle()
        self._drop_chunk()
        self._state = _CLOSED
        self._ring.leave(self._group, self)
        parked = self._group.parked
        if self._pause is not None and self._pause in parked:
            del parked[self._pause]
            wake({self._pause: None}, 0)

    @property
    def sequence(self) -> int:
        """The last event handed out; before the first, the attach point.

        After `Lagged`, and after `resync()`, the last event that was passed over.
        """
        self._settle()
        return self._last if self._filtered else self._start

    @property
    def lag(self) -> int:
        """Events published that this reader wants and has not taken yet."""
        self._settle()
        if self._filtered:
            return self._group.published - self._taken + self._owed
        return self._ring.sequence - self._start

    @property
    def snapshot(self) -> S_co:
        """The state as of the attach point, or of the last `resync()`.

        A subscription made with `after` has none until `resync()`: its owner holds the state as of
        `after`, and a newer one would apply events twice.

        Raises:
            NotSupportedError: the bus was made without a snapshot function.
            MisuseError: the subscription is not open yet, or was made with `after`.
        """
        if self._source is None:
            raise NotSupportedError("snapshots", "this bus")
        if self._snapshot is None:
            raise MisuseError(
                "no snapshot here: enter the subscription first, and without after= (or resync())"
            )
        return self._snapshot[0]

    def resync(self) -> S_co:
        """Move the cursor to the head; return the state as of there, now also `snapshot`.

        On a bus without a snapshot function the return value is None.

        Raises:
            ClosedError: the subscription is closed.
            MisuseError: it is not open yet.
        """
        self._check_open()
        self._skipped += self.lag
        self._drop_chunk()
        before = self._passed
        self._start = self._last = self._ring.sequence
        self._taken = self._group.published
        self._uncounted += self._passed - before
        self._owed = 0
        if self._source is None:
            return cast(S_co, None)
        self._snapshot = (self._source(),)
        return self._snapshot[0]

    def statistics(self) -> SubscriptionStatistics:
        """Return what this reader has seen so far, in numbers."""
        lag = self.lag
        return SubscriptionStatistics(
            delivered=self._passed - self._uncounted,
            missed=self._missed,
            skipped=self._skipped,
            lag=lag,
            peak_lag=max(self._peak_lag, lag),
            wakeups=self._wakeups,
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E_co:
        """Return the next event, waiting for it if need be.

        Raises:
            Lagged: events were overwritten unseen; the next call returns the oldest kept.
            BusyError: another task waits in this subscription.
            ClosedError: the subscription is closed.
            MisuseError: it is not open yet.
            WrongLoopError: another thread or event loop owns the bus.
        """
        if self._ring.tail <= self._start:
            for event in self._chunk:
                return event
        # `_ready` spelled out, with a short cut: the way from a publisher to an idle reader.
        while (pause := self._prepare()) is not None:
            woken_by = 0
            try:
                woken_by = await pause
            except RuntimeError as error:
                self._ring.owner.convert_wait_error(error)
            finally:
                self._pause = None
                if not woken_by:
                    self._group.parked.pop(pause, None)
            if woken_by:
                self._wakeups += 1
                ring, start = self._ring, self._start
                if self._filtered:
                    start = self._jump(woken_by)
                if ring.tail <= start < woken_by and self._state is _OPEN:
                    self._start = woken_by
                    if self._filtered:
                        self._last = woken_by
                        self._taken += 1
                    elif ring.sequence - start > self._peak_lag:
                        self._peak_lag = ring.sequence - start
                    first: E_co = ring.events[start % ring.capacity]
                    return first
        return next(self._chunk)

    def records(self) -> AsyncIterator[Record[E_co]]:
        """Iterate over events with their sequence and time; raises what iteration raises."""
        return _Pull(self._next_record)

    def batches(self, limit: int | None = None) -> AsyncIterator[list[E_co]]:
        """Iterate over lists of everything there is, never an empty one: the cheapest way to read.

        The event loop runs between two lists once 256 events were handed out since it last did.
        Raises what iteration raises.

        Args:
            limit: Events in a list at most; by default as many as the ring holds.

        Raises:
            MisuseError: `limit` is below 1.
        """
        if limit is None:
            limit = self._ring.capacity
        elif limit < 1:
            raise MisuseError(f"a batch holds at least one event, not limit={limit}")
        return _Pull(partial(self._next_batch, limit))

    async def _next_record(self) -> Record[E_co]:
        if self._ring.tail <= self._start:
            for event in self._chunk:
                return self._record(event)
        await self._ready(fill=True)
        return self._record(next(self._chunk))

    def _record(self, event: Any) -> Record[E_co]:
        self._settle()
        ring, sequence = self._ring, self._start
        return Record(sequence, ring.times[(sequence - 1) % ring.capacity], event)

    async def _next_batch(self, limit: int) -> list[E_co]:
        # The loop is for the common case, a reader without a filter that nothing happened to: no
        # more than a slice and a wait. `_ready` knows all the others.
        ring = self._ring
        while (
            not (self._left or self._filtered or self._pause)
            and self._state is _OPEN
            and ring.tail <= (start := self._start)
            and get_ident() == ring.owner.thread
        ):
            lag = ring.sequence - start
            if lag and self._credit:
                if lag > self._peak_lag:
                    self._peak_lag = lag
                return self._take_all(limit)
            await self._wait(self._yield() if lag else self._park())
        await self._ready(fill=False)
        return self._take_wanted(limit) if self._filtered else self._take_all(limit)

    async def _ready(self, *, fill: bool) -> None:
        """Return when `_start` is at a wanted event and there is credit to hand it out."""
        while (pause := self._prepare(fill=fill)) is not None:
            await self._wait(pause)

    async def _wait(self, pause: Slot) -> None:
        woken_by = 0
        try:
            woken_by = await pause
        except RuntimeError as error:
            self._ring.owner.convert_wait_error(error)
        finally:
            self._pause = None
            if not woken_by:
                self._group.parked.pop(pause, None)
        if woken_by:
            self._wakeups += 1
            if self._filtered:
                self._jump(woken_by)

    def _prepare(self, *, fill: bool = True) -> Slot | None:
        """Bring `_start` to a wanted event and fill the chunk, or return what to wait for first."""
        ring = self._ring
        if self._pause is not None or self._state is not _OPEN or get_ident() != ring.owner.thread:
            self._refuse()
        self._settle()
        if self._start < ring.tail or self._owed:
            self._fall_out()
        if self._filtered:  # as in `lag`
            behind, head = self._taken, self._group.published
        else:
            behind, head = self._start, ring.sequence
        lag = head - behind
        if lag and self._credit:
            if lag > self._peak_lag:
                self._peak_lag = lag
            if self._filtered:
                self._start = self._run_end(self._start, ring.sequence, wanted=False)
            if fill:
                self._fill()
            return None
        self._drop_chunk()
        return self._yield() if lag else self._park()

    def _yield(self) -> Slot:
        """Return what lets the event loop run once."""
        owner = self._ring.owner
        if not owner.waits_check_the_loop:
            owner.require_running_loop("a subscription")
        self._credit = TURN
        self._pause = pause = cast(Slot, owner.checkpoint())  # never parked: only awaited
        return pause

    def _park(self) -> Slot:
        """Return a slot in which to wait for the next wanted event."""
        ring = self._ring
        if ring.closed:
            raise StopAsyncIteration
        owner = ring.owner
        if not owner.waits_check_the_loop:
            owner.require_running_loop("a subscription")
        self._start = ring.sequence
        self._credit = TURN
        self._pause = slot = owner.new_slot()
        self._group.parked[slot] = None
        return slot

    def _jump(self, woken_by: int) -> int:
        """Pass over what lies before the event that woke this reader: all of it is unwanted."""
        if self._start < woken_by - 1:
            self._start = woken_by - 1
        return self._start

    def _run_end(self, start: int, stop: int, *, wanted: bool) -> int:
        """Return the first position from `start` on that does not hold what `wanted` says."""
        events, capacity, kinds = self._ring.events, self._ring.capacity, self._group.wanted
        for at in range(start, stop):
            if (type(events[at % capacity]) in kinds) is not wanted:
                return at
        return stop

    def _fall_out(self) -> None:
        """Go on at the oldest kept event; raise `Lagged` if wanted ones were lost on the way."""
        ring = self._ring
        if ring.forked:
            raise ForkedError("this bus")
        self._drop_chunk()
        before = self._passed
        if self._filtered:
            self._taken = max(self._taken, self._group.evicted)
        self._start = max(self._start, ring.tail)
        lost = self._passed - before
        self._uncounted += lost
        missed = lost + self._owed
        self._owed = 0
        if missed:
            self._missed += missed
            self._last = self._start
            self._peak_lag = max(self._peak_lag, missed + self.lag)
            raise Lagged(missed)

    def _fill(self) -> None:
        """Set up the chunk at `_start`: as far as the credit, the run and the list's end allow."""
        ring, start = self._ring, self._start
        slot = start % ring.capacity
        count = ring.sequence - start
        if count == 1:
            self._index = self._chunk = iter((ring.events[slot],))
            self._left = 1
        else:
            self._left = left = ring.capacity - slot
            count = min(count, self._credit, left)
            if self._filtered:
                count = self._run_end(start, start + count, wanted=True) - start
            self._index = index = iter(ring.events)
            cast(_Seekable, index).__setstate__(slot)
            self._chunk = islice(index, count)
        self._credit -= count

    def _settle(self) -> None:
        """Bring `_start` and the counts up to what the chunk has handed out."""
        if not self._left:
            return
        left = length_hint(self._index)
        count = self._left - left
        if count:
            self._left = left
            self._start += count
            if self._filtered:
                self._last = self._start
                self._taken += count

    @property
    def _passed(self) -> int:
        """Wanted events behind the cursor, from where the reader's group began to count."""
        return self._taken if self._filtered else self._start

    def _drop_chunk(self) -> None:
        self._index = self._chunk = _EMPTY
        self._left = 0

    def _take_all(self, limit: int) -> list[E_co]:
        self._drop_chunk()
        ring, start = self._ring, self._start
        count = ring.sequence - start
        if count > limit:
            count = limit
        self._start = start + count
        self._credit = self._credit - count if count < self._credit else 0
        return self._slice(start, count)

    def _take_wanted(self, limit: int) -> list[E_co]:
        self._drop_chunk()
        ring, start, kinds = self._ring, self._start, self._group.wanted
        window = self._slice(start, min(ring.sequence - start, limit))
        batch = [event for event in window if type(event) in kinds]
        self._start = start + len(window)
        self._last = self._start - next(
            back for back, event in enumerate(reversed(window)) if type(event) in kinds
        )
        self._taken += len(batch)
        self._credit = max(0, self._credit - len(batch))
        return batch

    def _slice(self, start: int, count: int) -> list[Any]:
        events, capacity = self._ring.events, self._ring.capacity
        first = start % capacity
        stop = first + count
        if stop <= capacity:
            return events[first:stop]
        return events[first:] + events[: stop - capacity]

    def _refuse(self) -> None:
        if self._pause is not None:
            raise BusyError("this subscription", "another task waits in it; give each task its own")
        self._check_open()
        owner = self._ring.owner
        raise owner.wrong_thread("a subscription", "subscribe on a bus of this thread")

    def _check_open(self) -> None:
        if self._state is _CLOSED:
            raise ClosedError("this subscription", "subscribe again")
        if self._state is _NEW:
            raise MisuseError("this subscription is not open: use it inside its 'with' block")


_NEW, _OPEN, _CLOSED = "new", "open", "closed"
_EMPTY: Iterator[Any] = iter(())
