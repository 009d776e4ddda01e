"""What a channel's reader face, writer face and subscriptions share: order, owner, who waits."""

from __future__ import annotations

import itertools
import threading
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio
from anyio.lowlevel import EventLoopToken, current_token

from livelayer_bus.errors import ClosedError, WrongLoopError
from livelayer_bus.media.frames import AudioFrame, VideoFrame

FrameT = TypeVar("FrameT", bound=VideoFrame | AudioFrame)

DemandCallback = Callable[[int], None]
ANY_TIME = -(1 << 63)  # earlier than every received_ns
NO_TIME = 1 << 63  # later than every received_ns


class Flow(ABC, Generic[FrameT]):
    """The state of one channel; used by one thread and one event loop, checked on every call.

    Frames are numbered from 1 by `sequence`, and each reader keeps the number of the last one it
    dealt with, so a push costs the same whether anybody reads or not, but for waking those parked.
    """

    def __init__(self, name: str, now_ns: Callable[[], int]) -> None:
        self.name = name
        self.now_ns = now_ns
        self.sequence = 0
        self.available = False
        self.closed = False
        self.readers: dict[int, int] = {}  # reader's token -> nanoseconds it wants kept
        # Events of parked readers -> the received_ns from which a frame concerns them.
        self.parked: dict[anyio.Event, int] = {}
        # Finalizers only append here: they may run in any thread, in the middle of anything.
        self.abandoned: deque[int] = deque()
        self._alive: set[weakref.ref[FrameT]] = set()
        self._watchers: set[anyio.Event] = set()
        self._demand_callbacks: dict[int, DemandCallback] = {}
        self._tokens = itertools.count(1)
        self._thread: int | None = None
        self._loop: EventLoopToken | None = None

    # What video and audio do differently -----------------------------------------------------

    @abstractmethod
    def store(self, frame: FrameT) -> None:
        """Keep the frame numbered `sequence`, and let go what no reader may get any more."""

    @abstractmethod
    def discard(self) -> None:
        """Let go of every frame kept."""

    @property
    @abstractmethod
    def held(self) -> int:
        """How many frames are kept."""

    # Writing ---------------------------------------------------------------------------------

    def push(self, frame: FrameT) -> None:
        """Number and keep the frame, and wake the parked readers it concerns."""
        self.check_thread("push")
        if self.closed:
            raise ClosedError(self.name, "its session has ended, push nothing more")
        if self.abandoned:
            self.settle()
        self._alive.add(weakref.ref(frame, self._alive.discard))
        self.sequence += 1
        self.store(frame)
        if self.parked:
            received_ns = frame.received_ns
            for event in [e for e, since in self.parked.items() if since <= received_ns]:
                del self.parked[event]
                event.set()

    def set_available(self, available: bool) -> None:
        """Say whether a track feeds the channel; waiters see the change."""
        self.check_thread("set_available")
        if self.closed and available:
            raise ClosedError(self.name, "its session has ended, no track can feed it")
        if available is not self.available:
            self.available = available
            self._wake_watchers()

    def close(self) -> None:
        """End it for good: readers take what is kept for them, then their iteration ends."""
        self.check_thread("close")
        if self.closed:
            return
        self.closed = True
        self.available = False
        self.settle()
        if not self.readers:
            self.discard()
        for event in self.parked:
            event.set()
        self.parked.clear()
        self._wake_watchers()

    def on_demand(self, callback: DemandCallback) -> Callable[[], None]:
        """Call `callback` with each new demand; the returned function ends that."""
        token = next(self._tokens)
        self._demand_callbacks[token] = callback

        def forget() -> None:
            self._demand_callbacks.pop(token, None)

        return forget

    # Reading ---------------------------------------------------------------------------------

    @property
    def demand(self) -> int:
        """Readers attached, those dropped without being closed not counted."""
        return len(self.readers) - len(self.abandoned)

    def join(self, span_ns: int) -> int:
        """Add a reader that wants frames kept for `span_ns`; returns its token."""
        self.check_thread("subscribe")
        self.settle()
        token = next(self._tokens)
        self.readers[token] = span_ns
        self._readers_changed(len(self.readers) - 1)
        return token

    def leave(self, token: int) -> None:
        """Take a reader out; unknown tokens are left alone."""
        self.check_thread("unsubscribe")
        if self.readers.pop(token, None) is not None:
            self._readers_changed(len(self.readers) + 1)

    def settle(self) -> None:
        """Take out the readers that were dropped without being closed."""
        while self.abandoned:
            self.leave(self.abandoned.popleft())

    def retune(self) -> None:
        """Adapt what is kept to the readers there are; called when they change."""

    async def park(self, event: anyio.Event, since_ns: int) -> None:
        """Wait until a frame received at `since_ns` or later, a close or `event` itself."""
        self.check_loop("reading")
        self.parked[event] = since_ns
        try:
            await event.wait()
        finally:
            self.parked.pop(event, None)

    async def watch(self) -> None:
        """Wait for the next change of `available` or for the close."""
        self.check_loop("waiting")
        event = anyio.Event()
        self._watchers.add(event)
        try:
            await event.wait()
        finally:
            self._watchers.discard(event)

    def alive(self) -> tuple[int, int]:
        """Frames of this channel that exist, and their bytes."""
        frames = [frame for ref in tuple(self._alive) if (frame := ref()) is not None]
        return len(frames), sum(frame.held_bytes for frame in frames)

    # The owner -------------------------------------------------------------------------------

    def check_thread(self, call: str) -> None:
        """Bind to this thread on first use; refuse every other one."""
        thread = threading.get_ident()
        if thread != self._thread:
            if self._thread is not None:
                raise WrongLoopError(
                    f"{self.name} ({call})",
                    f"thread {self._thread}",
                    f"thread {thread}",
                    "hand over with loop.call_soon_threadsafe or anyio.from_thread",
                )
            self._thread = thread

    def check_loop(self, call: str) -> None:
        """Bind to this event loop on the first wait; refuse every other one."""
        loop = current_token()
        if loop != self._loop:
            if self._loop is not None:
                raise WrongLoopError(
                    f"{self.name} ({call})",
                    repr(self._loop.native_token),
                    repr(loop.native_token),
                    "one session belongs to one event loop: open another one there",
                )
            self.check_thread(call)
            self._loop = loop

    def _readers_changed(self, before: int) -> None:
        if self.closed and not self.readers:
            self.discard()
        self.retune()
        demand = len(self.readers)
        if demand != before:
            for callback in tuple(self._demand_callbacks.values()):
                callback(demand)

    def _wake_watchers(self) -> None:
        for event in self._watchers:
            event.set()
        self._watchers.clear()
