"""A reader's place in the ring: what it takes, what it missed, what is still to come."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from operator import length_hint
from typing import Any, Generic, Protocol, TypeVar, cast

from ..errors import ForkedError, Lagged, StaleCursorError
from .ring import Ring, Types

E_co = TypeVar("E_co", covariant=True)

TURN = 256  # events a reader takes before it lets the event loop run


class _Seekable(Protocol):
    """What a list's iterator offers beside iteration."""

    def __setstate__(self, index: int, /) -> None: ...


class Cursor(Generic[E_co]):
    """The synchronous part of a subscription: it never waits, and knows no tasks.

    `_chunk` hands out wanted events that lie side by side from position `_start` on. It walks the
    ring's own list through `_index`, so nothing is copied and nothing overwritten stays alive; it
    is valid until the ring's tail passes `_start`. `_left` is what remained of the list when
    `_start` was true.
    """

    __slots__ = (
        "_chunk", "_credit", "_filtered", "_group", "_index", "_last", "_left", "_missed", "_owed",
        "_peak_lag", "_ring", "_start", "_taken", "_types", "_uncounted",
    )  # fmt: skip

    def __init__(self, ring: Ring, types: Types) -> None:
        self._ring = ring
        self._types = types
        self._group = ring.everyone
        self._filtered = bool(types)
        self._start = 0
        self._left = 0
        self._index: Iterator[E_co] = _EMPTY
        self._chunk: Iterator[E_co] = _EMPTY
        self._last = 0  # filtered: the last event handed out, missed or skipped
        self._taken = 0  # filtered: wanted events before `_start`, in the group's count
        self._uncounted = 0  # events that were not handed out, and where the count began
        self._owed = 0  # events older than the ring that `after` asked for
        self._credit = TURN  # events to hand out before the event loop must run
        self._missed = self._peak_lag = 0

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

    def _attach(self, after: int | None) -> None:
        """Set the cursor behind `after`, or at the head."""
        ring = self._ring
        if after is None:
            after = ring.sequence
        elif not 0 <= after <= ring.sequence:
            raise StaleCursorError(
                str(after), f"the bus has published {ring.sequence} events so far"
            )
        self._group = group = ring.join(self._types, self)
        self._start = self._last = after
        if self._filtered:
            if after < group.born:
                ring.count_from_tail(group)
            self._start = max(after, ring.tail)
            self._owed = self._start - after
            self._taken = ring.index_of(group, self._start)
        self._uncounted = self._passed

    def _move_to_head(self) -> int:
        """Pass over what is there; return how many events that were."""
        skipped = self.lag
        self._drop_chunk()
        before = self._passed
        self._start = self._last = self._ring.sequence
        self._taken = self._group.published
        self._uncounted += self._passed - before
        self._owed = 0
        return skipped

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


_EMPTY: Iterator[Any] = iter(())
