"""Subscription: one reader's cursor on the ring, read by item, by record or by batch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from threading import get_ident
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast, final

from ..errors import BusyError, ClosedError, MisuseError, NotSupportedError
from .cursor import TURN, Cursor
from .loop_guard import Slot
from .records import Record, SubscriptionStatistics
from .ring import Ring, Types, wake

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)
S_co = TypeVar("S_co", covariant=True)


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
class Subscription(Cursor[E_co], Generic[E_co, S_co]):
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
        "__weakref__", "_after", "_pause", "_skipped", "_snapshot", "_source", "_state", "_wakeups",
    )  # fmt: skip

    def __init__(
        self,
        ring: Ring,
        types: Types,
        after: int | None,
        snapshot: Callable[[], S_co] | None,
    ) -> None:
        super().__init__(ring, types)
        self._after = after
        self._source = snapshot
        self._snapshot: tuple[S_co] | None = None
        self._state = _NEW
        self._pause: Slot | None = None
        self._skipped = self._wakeups = 0

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
        self._attach(self._after)
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
            parked.remove(self._pause)
            wake([self._pause], 0)

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
        self._skipped += self._move_to_head()
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
            wakeups=self._wakeups - (self._pause is not None),
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
                    self._leave(pause)
            ring, start = self._ring, self._start
            if not self._filtered:
                if ring.tail <= start < woken_by and self._state is _OPEN:
                    self._start = woken_by
                    lag = ring.sequence - start
                    if lag > self._peak_lag:
                        self._peak_lag = lag
                    first: E_co = ring.events[start % ring.capacity]
                    return first
            elif woken_by:
                start = self._jump(woken_by)
                if ring.tail <= start < woken_by and self._state is _OPEN:
                    self._start = self._last = woken_by
                    self._taken += 1
                    found: E_co = ring.events[start % ring.capacity]
                    return found
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
                self._leave(pause)
        if woken_by and self._filtered:
            self._jump(woken_by)

    def _leave(self, pause: Slot) -> None:
        """End a wait that no event ended: it was cancelled, or a turn of the loop, or the end."""
        if pause in self._group.parked:
            self._group.parked.remove(pause)
        self._wakeups -= 1

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
        self._wakeups += 1  # until it ends: see `_leave`
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
        self._group.parked.append(slot)
        self._wakeups += 1
        return slot

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
