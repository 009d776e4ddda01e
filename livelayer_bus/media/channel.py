"""What video and audio channels share: the channel, and one reader's subscription."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, Self

from msgspec.structs import asdict

from ..bus.loop_guard import Slot
from ..errors import BusyError, ClosedError
from .statistics import ChannelStatistics, ReaderStatistics, Reading, Timing, TimingWindow
from .writer import FrameT, Writer, wake

ANY_TIME = -(1 << 63)  # earlier than every received_ns
NO_TIME = 1 << 63  # later than every received_ns


class Channel(Generic[FrameT]):
    """What surfaces see: it exists before any track, survives its tracks, and ends once."""

    def __init__(self, writer: Writer[FrameT], label: str | None = None) -> None:
        self._writer = writer
        self._label = label

    @property
    def available(self) -> bool:
        """Whether a track feeds the channel now, also one that is paused for lack of readers."""
        return self._writer.available

    @property
    def latest(self) -> FrameT | None:
        """The newest frame of the track that feeds the channel; None without a track.

        A track without readers is paused after some seconds, and `latest` is None: reading it
        resumes the track, so read it again, or subscribe. The same holds for `AudioChannel.level`.
        """
        self._writer.peek()
        return self._writer.newest if self._writer.available else None

    @property
    def closed(self) -> bool:
        """Whether the session has ended: no more frames come."""
        return self._writer.closed

    @property
    def demand(self) -> int:
        """Readers attached and not paused."""
        return self._writer.demand

    async def wait_available(self, available: bool = True) -> None:
        """Return once `available` is as asked; changes undone before the waiter runs are not seen.

        Raises:
            ClosedError: the channel is closed, and so will never be available.
            WrongLoopError: called from another event loop than earlier waits.
        """
        while self._writer.available is not available:
            if self._writer.closed:
                raise ClosedError(self._writer.name, "its session has ended")
            await self._writer.watch()

    def statistics(self) -> ChannelStatistics:
        """Count what was pushed, what is kept and what is still alive anywhere."""
        frames_alive, bytes_alive = self._writer.alive()
        return ChannelStatistics(
            pushed=self._writer.sequence,
            dropped=self._writer.dropped,
            demand=self._writer.demand,
            held=self._writer.held,
            frames_alive=frames_alive,
            bytes_alive=bytes_alive,
            transit=self.transit,
        )

    @property
    def received(self) -> int:
        """Frames pushed by the writer; readable in any thread."""
        return self._writer.sequence

    @property
    def transit(self) -> Timing:
        """See `ChannelStatistics.transit`; readable in any thread."""
        return self._writer.transit.read()

    def readings(self) -> tuple[Reading, ...]:
        """What every existing subscription has measured; readable in any thread."""
        found = [reference() for reference in tuple(self._writer.known.values())]
        return tuple(reading() for reading in found if reading is not None)

    def with_label(self, label: str) -> Self:
        """The same channel; readers that subscribe through it are named `label` in statistics."""
        return type(self)(self._writer, label)

    def __repr__(self) -> str:
        state = "closed" if self.closed else "available" if self.available else "waiting"
        return f"<{type(self).__name__} {state}, {self._writer.demand} readers>"


class Subscription(ABC, Generic[FrameT]):
    """One reader: frames in order, those it could not take dropped and counted exactly.

    Attached by `with`, or by the first wait of an `async for`; detached when closed, or when
    it is no longer referenced. One task may wait at a time. A cancelled wait loses nothing. A
    track that vanishes makes it wait; only `close()` here, or the channel's end, ends it.
    """

    _token: int | None = None  # set while attached; the finalizer needs it at any stage
    _since_ns = ANY_TIME  # the earliest `received_ns` of a frame that this reader wants

    def __init__(self, writer: Writer[FrameT], span_ns: int, label: str | None) -> None:
        self._writer = writer
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
        writer.know(self.reading)

    @abstractmethod
    def _start(self) -> int:
        """The cursor of a reader that attaches now."""

    @abstractmethod
    def _skip(self) -> tuple[int, int]:
        """How many frames after the cursor are lost, and how many can be taken after them."""

    @abstractmethod
    def _take(self) -> FrameT:
        """The frame after the cursor, which is there."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FrameT:
        """Return the next frame, waiting for one if need be.

        Raises:
            BusyError: another task waits on this subscription.
            WrongLoopError: called from another thread or event loop than the channel's.
        """
        writer = self._writer
        writer.check_thread("reading")
        if self._slot is not None:
            raise BusyError("this subscription", "another task reads it: subscribe once a task")
        if self._delivered_ns is not None:
            self._hold.add(writer.now_ns() - self._delivered_ns)
            self._delivered_ns = None
        if self._token is None:
            self._attach()
        while True:
            if self._token is not None:
                lost, ready = self._skip()
                self._dropped += lost
                self._cursor += lost
                if ready:
                    frame = self._take()
                    self._cursor += 1
                    self._delivered += 1
                    self._peak = max(self._peak, ready)
                    self._delivered_ns = writer.now_ns()
                    self._latency.add(self._delivered_ns - frame.received_ns)
                    return frame
            if self._closed or writer.closed:
                self.close()
                raise StopAsyncIteration
            self._slot = slot = writer.new_slot("reading")
            writer.parked[slot] = NO_TIME if self._paused else self._since_ns
            try:
                await slot
            finally:
                self._slot = None
                writer.parked.pop(slot, None)

    def __enter__(self) -> Self:
        if self._closed:
            raise ClosedError("this subscription", "subscribe again")
        if self._token is None:
            self._attach()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _attach(self) -> None:
        if not (self._paused or self._closed or self._writer.closed):
            self._token = self._writer.join(self._span_ns)
            self._cursor = max(self._cursor, self._start())

    def _detach(self) -> None:
        token, self._token = self._token, None
        if token is not None:
            self._dropped += self._writer.sequence - self._cursor
            self._cursor = self._writer.sequence
            self._writer.leave(token)

    def pause(self) -> None:
        """Take no frames until `resume()`: they are not counted, and the demand falls by one.

        A frame that waits is dropped. A task that waits keeps waiting.

        Raises:
            WrongLoopError: called from another thread than the channel's.
        """
        self._writer.check_thread("pause")
        if not self._paused and not self._closed:
            self._paused = True
            self._detach()
            self._wake()

    def resume(self) -> None:
        """Take frames again, from now on.

        Raises:
            WrongLoopError: called from another thread than the channel's.
        """
        self._writer.check_thread("resume")
        if self._paused and not self._closed:
            self._paused = False
            self._attach()
            self._wake()

    def close(self) -> None:
        """Detach: an iteration that waits ends, frames that wait count as dropped; twice is fine.

        Raises:
            WrongLoopError: called from another thread than the channel's.
        """
        self._writer.check_thread("close")
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
            self._writer.abandoned.append(self._token)

    def statistics(self) -> ReaderStatistics:
        """Count what this reader took, lost and could take now, and how late it was."""
        lost, ready = self._skip() if self._token is not None else (0, 0)
        counted: dict[str, Any] = {**asdict(self.reading()), "dropped": self._dropped + lost}
        received = self._delivered + self._dropped + lost + ready
        peak = max(self._peak, ready)
        return ReaderStatistics(
            **counted, received=received, waiting=ready, peak_waiting=peak, paused=self._paused
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
