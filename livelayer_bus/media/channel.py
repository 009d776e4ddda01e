"""What video and audio channels share: the channel, its writer, and one reader's subscription."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, Self

from ..bus.loop_guard import Slot
from ..errors import BusyError, ClosedError
from .buffer import ANY_TIME, NO_TIME, ChannelBuffer, DemandCallback, FrameT, PeekCallback, wake
from .statistics import ChannelStatistics, ReaderStatistics, Reading, Timing, TimingWindow


class Channel(Generic[FrameT]):
    """What surfaces see: it exists before any track, survives its tracks, and ends once."""

    def __init__(self, buffer: ChannelBuffer[FrameT], label: str | None = None) -> None:
        self._buffer = buffer
        self._label = label

    @property
    def available(self) -> bool:
        """Whether a track feeds the channel now; False says nothing about later.

        A track that is paused for lack of readers counts: it resumes on demand.
        """
        return self._buffer.available

    @property
    def closed(self) -> bool:
        """Whether the session has ended: no more frames come."""
        return self._buffer.closed

    @property
    def demand(self) -> int:
        """Readers attached and not paused."""
        return self._buffer.demand

    async def wait_available(self, available: bool = True) -> None:
        """Return once `available` is as asked, at once if it is already.

        Changes that are undone before the waiter runs are not seen. Cancelling leaves nothing
        behind.

        Raises:
            ClosedError: the channel is closed, and so will never be available.
            WrongLoopError: called from another event loop than earlier waits.
        """
        while self._buffer.available is not available:
            if self._buffer.closed:
                raise ClosedError(self._buffer.name, "its session has ended")
            await self._buffer.watch()

    def statistics(self) -> ChannelStatistics:
        """Count what was pushed, what is kept and what is still alive anywhere."""
        frames_alive, bytes_alive = self._buffer.alive()
        return ChannelStatistics(
            pushed=self._buffer.sequence,
            dropped=self._buffer.dropped,
            demand=self._buffer.demand,
            held=self._buffer.held,
            frames_alive=frames_alive,
            bytes_alive=bytes_alive,
            transit=self.transit,
        )

    @property
    def received(self) -> int:
        """Frames pushed by the writer; readable in any thread."""
        return self._buffer.sequence

    @property
    def transit(self) -> Timing:
        """See `ChannelStatistics.transit`; readable in any thread."""
        return self._buffer.transit.read()

    def readings(self) -> tuple[Reading, ...]:
        """What every existing subscription has measured; readable in any thread."""
        readers = [reference() for reference in tuple(self._buffer.known.values())]
        return tuple(reader.reading() for reader in readers if reader is not None)

    def with_label(self, label: str) -> Self:
        """The same channel; readers that subscribe through it are named `label` in statistics."""
        return type(self)(self._buffer, label)

    def __repr__(self) -> str:
        state = "closed" if self.closed else "available" if self.available else "waiting"
        return f"<{type(self).__name__} {state}, {self._buffer.demand} readers>"


class Writer(Generic[FrameT]):
    """What feeds a channel: a room adapter's half, never given to a surface.

    Nothing here waits, and no reader's code runs in it. It belongs to the thread that creates it
    and to the first event loop in which a reader waits.
    """

    def __init__(self, buffer: ChannelBuffer[FrameT]) -> None:
        self._buffer = buffer

    @property
    def demand(self) -> int:
        """Readers attached and not paused: with 0, the track may be paused at its source."""
        return self._buffer.demand

    def push(self, frame: FrameT) -> None:
        """Offer a frame to every reader; one frame kept, one wake-up for each parked reader.

        Raises:
            ClosedError: the channel is closed.
            WrongLoopError: called from another thread than the channel's.
        """
        self._buffer.push(frame)

    def count_dropped(self, frames: int = 1) -> None:
        """Count frames that were lost on the way to this writer."""
        self._buffer.dropped += frames

    def set_available(self, available: bool) -> None:
        """Record whether a track feeds the channel.

        Iterations go on waiting, and frames already pushed can still be taken.

        Raises:
            ClosedError: `available` is True and the channel is closed.
            WrongLoopError: called from another thread than the channel's.
        """
        self._buffer.set_available(available)

    def discard(self) -> None:
        """Drop what is kept, counted as dropped by every reader that had not taken it.

        For a change of agent: no frame of the old one is delivered after this.

        Raises:
            WrongLoopError: called from another thread than the channel's.
        """
        self._buffer.check_thread("discard")
        self._buffer.discard()

    def follow_demand(self, on_demand: DemandCallback, on_peek: PeekCallback) -> Callable[[], None]:
        """Call `on_demand(demand)` now and at each change; the returned function ends that.

        It runs inside the reader's `subscribe`, `pause` or `close`, on the channel's thread: it
        must neither wait nor raise. A subscription dropped unclosed counts until the next push.
        `on_peek()` is called when `latest` or `level` is read, which takes no reader; reads from
        other threads are not reported.
        """
        return self._buffer.follow_demand(on_demand, on_peek)

    def close(self) -> None:
        """End the channel: readers get what is kept for them, then their iteration ends.

        Closing twice does nothing.

        Raises:
            WrongLoopError: called from another thread than the channel's.
        """
        self._buffer.close()


class Subscription(ABC, Generic[FrameT]):
    """One reader: frames in order, those it could not take dropped and counted exactly.

    Attached by `with`, or by the first wait of an `async for`; detached when closed, or when
    it is no longer referenced. One task may wait at a time. A cancelled wait loses nothing. A
    track that vanishes makes it wait; only `close()` here, or the channel's end, ends it.
    """

    _token: int | None = None  # set while attached; the finalizer needs it at any stage
    _since_ns = ANY_TIME  # the earliest `received_ns` of a frame that this reader wants

    def __init__(self, buffer: ChannelBuffer[FrameT], span_ns: int, label: str | None) -> None:
        self._buffer = buffer
        self._label = label
        self._span_ns = span_ns
        self._cursor = 0  # the number of the last frame taken or dropped
        self._delivered = 0
        self._dropped = 0
        self._peak = 0
        self._latency = TimingWindow()
        self._hold = TimingWindow()
        self._delivered_ns: int | None = None
        self._slot: Slot | None = None
        self._paused = False
        self._closed = False
        buffer.know(self)

    # What video and audio do differently -----------------------------------------------------

    @abstractmethod
    def _start(self) -> int:
        """The cursor of a reader that attaches now."""

    @abstractmethod
    def _skip(self) -> tuple[int, int]:
        """How many frames after the cursor are lost, and how many can be taken after them."""

    @abstractmethod
    def _take(self) -> FrameT:
        """The frame after the cursor, which is there."""

    # Iterating -------------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FrameT:
        """Return the next frame, waiting for one if need be.

        Raises:
            BusyError: another task waits on this subscription.
            WrongLoopError: called from another thread or event loop than the channel's.
        """
        buffer = self._buffer
        buffer.check_thread("reading")
        if self._slot is not None:
            raise BusyError("this subscription", "another task reads it: subscribe once a task")
        if self._delivered_ns is not None:
            self._hold.add(buffer.now_ns() - self._delivered_ns)
            self._delivered_ns = None
        if self._token is None:
            self._attach()
        while True:
            if self._token is not None:
                lost, ready = self._skip()
                self._dropped += lost
                self._cursor += lost
                if ready:
                    return self._deliver(ready)
            if self._closed or buffer.closed:
                self.close()
                raise StopAsyncIteration
            self._slot = slot = buffer.new_slot("reading")
            buffer.parked[slot] = NO_TIME if self._paused else self._since_ns
            try:
                await slot
            finally:
                self._slot = None
                buffer.parked.pop(slot, None)

    def _deliver(self, ready: int) -> FrameT:
        frame = self._take()
        self._cursor += 1
        self._delivered += 1
        self._peak = max(self._peak, ready)
        self._delivered_ns = self._buffer.now_ns()
        self._latency.add(self._delivered_ns - frame.received_ns)
        return frame

    # Attaching -------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        if self._closed:
            raise ClosedError("this subscription", "subscribe again")
        if self._token is None:
            self._attach()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _attach(self) -> None:
        if not (self._paused or self._closed or self._buffer.closed):
            self._token = self._buffer.join(self._span_ns)
            self._cursor = max(self._cursor, self._start())

    def _detach(self) -> None:
        token, self._token = self._token, None
        if token is not None:
            self._dropped += self._buffer.sequence - self._cursor
            self._cursor = self._buffer.sequence
            self._buffer.leave(token)

    def pause(self) -> None:
        """Take no frames until `resume()`: they are not counted, and the demand falls by one.

        A frame that waits is dropped. A task that waits keeps waiting.

        Raises:
            WrongLoopError: called from another thread than the channel's.
        """
        self._buffer.check_thread("pause")
        if not self._paused and not self._closed:
            self._paused = True
            self._detach()
            self._wake()

    def resume(self) -> None:
        """Take frames again, from now on.

        Raises:
            WrongLoopError: called from another thread than the channel's.
        """
        self._buffer.check_thread("resume")
        if self._paused and not self._closed:
            self._paused = False
            self._attach()
            self._wake()

    def close(self) -> None:
        """Detach; an iteration that waits ends, frames that wait count as dropped.

        Closing twice does nothing.

        Raises:
            WrongLoopError: called from another thread than the channel's.
        """
        self._buffer.check_thread("close")
        if not self._closed:
            self._closed = True
            self._detach()
            self._wake()

    async def aclose(self) -> None:
        """The same as `close()`, for `contextlib.aclosing`; it does not wait."""
        self.close()

    def _wake(self) -> None:
        if self._slot is not None:
            wake(self._slot)

    def __del__(self) -> None:
        # Safe in any thread at any instant: the channel's own thread does the work later.
        if self._token is not None:
            self._buffer.abandoned.append(self._token)

    def statistics(self) -> ReaderStatistics:
        """Count what this reader took, lost and could take now, and how late it was."""
        lost, ready = self._skip() if self._token is not None else (0, 0)
        dropped = self._dropped + lost
        return ReaderStatistics(
            received=self._delivered + dropped + ready,
            delivered=self._delivered,
            dropped=dropped,
            waiting=ready,
            peak_waiting=max(self._peak, ready),
            latency=self._latency.read(),
            hold=self._hold.read(),
            paused=self._paused,
            label=self._label,
        )

    def reading(self) -> Reading:
        """What was counted and measured so far; readable in any thread."""
        return Reading(
            label=self._label,
            delivered=self._delivered,
            dropped=self._dropped,
            latency=self._latency.read(),
            hold=self._hold.read(),
        )
