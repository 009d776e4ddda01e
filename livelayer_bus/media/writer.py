"""The writer of a channel: numbering, demand, its thread and loop, and the waiters."""

from __future__ import annotations

import itertools
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import Generic, TypeVar

from ..bus.loop_guard import LoopGuard, Slot
from ..errors import ClosedError, WrongLoopError
from .frames import AudioFrame, VideoFrame
from .statistics import Reading, TimingWindow

FrameT = TypeVar("FrameT", bound=VideoFrame | AudioFrame)

DemandCallback = Callable[[int], None]
PeekCallback = Callable[[], None]


class Writer(ABC, Generic[FrameT]):
    """What feeds a channel: a room adapter's half, never given to a surface.

    Nothing here waits, and no reader's code runs in it. It belongs to the thread that creates it
    and to the first event loop in which a reader waits, both checked on every call. Frames are
    numbered from 1 by `sequence`, and each reader keeps the number of the last one it dealt with,
    so a push costs the same for any number of readers, apart from waking parked ones.
    """

    def __init__(self, name: str, now_ns: Callable[[], int]) -> None:
        self.name = name
        self.now_ns = now_ns
        self.sequence = 0
        self.newest: FrameT | None = None  # that is kept
        self.dropped = 0
        self.available = False
        self.closed = False
        self.readers: dict[int, int] = {}  # reader's token -> nanoseconds it wants kept
        # Where readers wait -> the received_ns from which a frame concerns them.
        self.parked: dict[Slot, int] = {}
        # Finalizers only append here: they may run in any thread, in the middle of anything.
        self.abandoned: deque[int] = deque()
        self._alive: set[weakref.ref[FrameT]] = set()
        self._watchers: set[Slot] = set()
        self._followers: dict[int, tuple[DemandCallback, PeekCallback]] = {}
        self._tokens = itertools.count(1)
        self._guard = LoopGuard()
        self.transit = TimingWindow()
        # Every subscription that exists, attached or not; copying the values is atomic.
        self.known: dict[int, weakref.WeakMethod[Callable[[], Reading]]] = {}

    @abstractmethod
    def store(self, frame: FrameT) -> None:
        """Keep the frame numbered `sequence`, and release what no reader may get any more."""

    @abstractmethod
    def release(self) -> None:
        """Release every frame kept."""

    @property
    @abstractmethod
    def held(self) -> int:
        """How many frames are kept."""

    def retune(self) -> None:
        """Adapt what is kept to the readers there are; called when they change."""

    @property
    def demand(self) -> int:
        """Readers attached and not paused: with 0, the track may be paused at its source."""
        return len(self.readers) - len(self.abandoned)

    def push(self, frame: FrameT) -> None:
        """Offer a frame to every reader; one frame kept, one wake-up for each parked reader.

        Raises:
            ClosedError: the channel is closed.
            WrongLoopError: called from another thread than the channel's.
        """
        self.check_thread("push")
        if self.closed:
            raise ClosedError(self.name, "its session has ended, push nothing more")
        if self.abandoned:
            self._settle()
        self._alive.add(weakref.ref(frame, self._alive.discard))
        self.sequence += 1
        self.newest = frame
        self.store(frame)
        if self.parked:
            received_ns = frame.received_ns
            for slot in [s for s, since_ns in self.parked.items() if since_ns <= received_ns]:
                del self.parked[slot]
                wake(slot)

    def count_dropped(self, frames: int = 1) -> None:
        """Count frames that were lost on the way to this writer."""
        self.dropped += frames

    def set_available(self, available: bool) -> None:
        """Record whether a track feeds the channel; iterations go on, and take what was pushed.

        Raises:
            ClosedError: `available` is True and the channel is closed.
            WrongLoopError: called from another thread than the channel's.
        """
        self.check_thread("set_available")
        if self.closed and available:
            raise ClosedError(self.name, "its session has ended, no track can feed it")
        if available is not self.available:
            self.available = available
            self._wake_watchers()

    def discard(self) -> None:
        """Drop what is kept, for a change of agent; readers that had not taken it count it.

        Raises:
            WrongLoopError: called from another thread than the channel's.
        """
        self.check_thread("discard")
        self.release()

    def follow_demand(self, on_demand: DemandCallback, on_peek: PeekCallback) -> Callable[[], None]:
        """Call `on_demand(demand)` now and at each change; the returned function ends that.

        It runs inside the reader's `subscribe`, `pause` or `close`, on the channel's thread: it
        must neither wait nor raise. A subscription dropped unclosed counts until the next push.
        `on_peek()` is called when `latest` or `level` is read in this thread without a reader.
        """
        token = next(self._tokens)
        self._followers[token] = on_demand, on_peek
        on_demand(self.demand)
        return lambda: self._followers.pop(token, None) and None

    def close(self) -> None:
        """End the channel: readers get what is kept, then their iteration ends; twice is fine.

        Raises:
            WrongLoopError: called from another thread than the channel's.
        """
        self.check_thread("close")
        if self.closed:
            return
        self.closed = True
        self.available = False
        self._settle()
        if not self.readers:
            self.release()
        for slot in self.parked:
            wake(slot)
        self.parked.clear()
        self._wake_watchers()

    def peek(self) -> None:
        """Report that the newest frame was read without a subscription, on its own thread."""
        if self._followers and get_ident() == self._guard.thread:
            for _, on_peek in tuple(self._followers.values()):
                on_peek()

    def join(self, span_ns: int) -> int:
        """Add a reader that wants frames kept for `span_ns`; returns its token."""
        self.check_thread("subscribe")
        self._settle()
        token = next(self._tokens)
        self.readers[token] = span_ns
        self._readers_changed()
        return token

    def leave(self, token: int) -> None:
        """Take a reader out; unknown tokens are left alone."""
        self.check_thread("unsubscribe")
        if self.readers.pop(token, None) is not None:
            self._readers_changed()

    def new_slot(self, call: str) -> Slot:
        """Return a slot for one wait in the running loop, which becomes or is the guarded one."""
        try:
            self._guard.require_running_loop(self.name)
        except WrongLoopError as exc:
            hint = "a session belongs to one event loop: open another session in this one"
            raise WrongLoopError(f"{self.name} ({call})", exc.owner, exc.caller, hint) from exc
        return self._guard.new_slot()

    def know(self, reading: Callable[[], Reading]) -> None:
        token = next(self._tokens)
        self.known[token] = weakref.WeakMethod(reading, lambda _: self.known.pop(token, None))

    async def watch(self) -> None:
        """Wait for the next change of `available` or for the close."""
        self.check_thread("waiting")
        slot = self.new_slot("waiting")
        self._watchers.add(slot)
        try:
            await slot
        finally:
            self._watchers.discard(slot)

    def alive(self) -> tuple[int, int]:
        frames = [frame for ref in tuple(self._alive) if (frame := ref()) is not None]
        return len(frames), sum(frame.held_bytes for frame in frames)

    def check_thread(self, call: str) -> None:
        if get_ident() != self._guard.thread:
            hint = "hand over with loop.call_soon_threadsafe or anyio.from_thread.run_sync"
            raise self._guard.wrong_thread(f"{self.name} ({call})", hint)

    def _settle(self) -> None:
        # Takes out the readers that were dropped without being closed.
        while self.abandoned:
            self.leave(self.abandoned.popleft())

    def _readers_changed(self) -> None:
        if self.closed and not self.readers:
            self.release()
        self.retune()
        for on_demand, _ in tuple(self._followers.values()):
            on_demand(len(self.readers))

    def _wake_watchers(self) -> None:
        for slot in self._watchers:
            wake(slot)
        self._watchers.clear()


def wake(slot: Slot) -> None:
    """Let the task that waits there go on; a wait that was cancelled or woken is left alone."""
    if not slot.done():
        slot.set_result(0)
