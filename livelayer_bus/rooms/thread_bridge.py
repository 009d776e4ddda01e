"""From the SDK's thread to a session's loop: in order, bounded, counted."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections import deque
from collections.abc import Callable
from importlib import import_module
from threading import Lock
from typing import Any, Final, Generic, ParamSpec, TypeVar, final

from ..bus.inbox import Inbox
from ..errors import ClosedError
from ..media import AudioFrame, VideoFrame
from .listeners import report
from .port import FrameTarget, PacketReceived, RoomEvent, RoomSink

MAX_PACKETS: Final = 4096  # data packets that wait for a loop which does not run
MAX_AUDIO: Final = 50  # frames of 10 ms, likewise
MAX_VIDEO: Final = 1  # likewise

Call = Callable[[], None]
P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", VideoFrame, AudioFrame)


def run_there(hand_over: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Hand a call over to the SDK's loop without this task's context.

    Context variables say, among other things, that this is trio.
    """
    return contextvars.Context().run(hand_over, *args, **kwargs)


@final
class LoopHandle:
    """The loop of the session, asyncio's or trio's, as other threads reach it."""

    def __init__(self) -> None:
        """Take the running loop."""
        try:
            loop = asyncio.get_running_loop()
            self._post: Callable[[Callable[[], object]], Any] = functools.partial(
                loop.call_soon_threadsafe, context=contextvars.copy_context()
            )
        except RuntimeError:
            self._post = import_module("trio").lowlevel.current_trio_token().run_sync_soon

    def post(self, call: Callable[[], object]) -> bool:
        """Have `call` run in the loop, after all that was posted before; False if it has ended."""
        try:
            self._post(call)
        except RuntimeError:  # trio's RunFinishedError is one of these too
            return False
        return True


@final
class SessionCalls:
    """Calls that wait for the session's loop and run there in order."""

    def __init__(self, loop: LoopHandle) -> None:
        self._inbox: Inbox[Call] = Inbox(_run, loop.post, MAX_PACKETS)
        self.packets_dropped = 0

    def put(self, call: Call) -> None:
        """Have `call` run in the session's loop."""
        self._inbox.put(call, required=True)

    def put_packet(self, call: Call) -> None:
        """The same for a data packet: with `MAX_PACKETS` calls waiting, it is dropped and counted.

        Called by the SDK's thread alone.
        """
        self.packets_dropped += not self._inbox.put(call)

    def close(self) -> None:
        """Run no more calls."""
        self._inbox.close()


def _run(call: Call) -> None:
    try:
        call()
    except ClosedError:
        pass  # the session closed its channel first
    except Exception as error:  # noqa: BLE001 - one call's fault must not lose the others
        report("handing over to the session", error)


@final
class FrameBridge(Generic[F]):
    """A `FrameTarget` in the SDK's thread for a channel's writer in the session's loop.

    At most `capacity` frames wait, in order; a new one replaces the oldest, which is counted.
    """

    def __init__(
        self,
        target: FrameTarget[F],
        calls: SessionCalls,
        loop: asyncio.AbstractEventLoop,
        capacity: int,
    ) -> None:
        """Made in the session's loop; `loop` is the SDK's."""
        self._target: FrameTarget[F] = target
        self._calls = calls
        self._loop = loop
        self._lock = Lock()
        self._waiting: deque[F] = deque(maxlen=capacity)
        self._demand = 0
        self._followers: dict[object, tuple[Callable[[int], None], Call]] = {}
        self.dropped = self._told = 0
        # Following stops when `close` is called: the channel outlives this room.
        self._forget = target.follow_demand(
            lambda demand: self._post(self._demand_changed, demand),
            lambda: self._post(self._peeked),
        )

    def push(self, frame: F) -> None:
        with self._lock:
            first = not self._waiting
            if len(self._waiting) == self._waiting.maxlen:
                self.count_dropped()
            self._waiting.append(frame)
        if first:
            self._calls.put(self._take)

    def count_dropped(self, frames: int = 1) -> None:
        self.dropped += frames

    def discard(self) -> None:
        with self._lock:
            self._waiting.clear()
        self._calls.put(self._target.discard)

    def follow_demand(self, on_demand: Callable[[int], None], on_peek: Call) -> Call:
        token = object()
        self._followers[token] = on_demand, on_peek
        on_demand(self._demand)
        return lambda: self._followers.pop(token, None) and None

    def close(self) -> None:
        """Follow the demand no more. Called in the session's loop."""
        self._forget()

    def _post(self, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        run_there(self._loop.call_soon_threadsafe, functools.partial(call, *args, **kwargs))

    def _demand_changed(self, demand: int) -> None:
        self._demand = demand
        for on_demand, _ in tuple(self._followers.values()):
            on_demand(demand)

    def _peeked(self) -> None:
        for _, on_peek in tuple(self._followers.values()):
            on_peek()

    def _take(self) -> None:
        with self._lock:
            frames = tuple(self._waiting)
            self._waiting.clear()
            dropped, self._told = self.dropped - self._told, self.dropped
        self._target.count_dropped(dropped)
        for frame in frames:
            self._target.push(frame)


@final
class SinkBridge:
    """A `RoomSink` in the SDK's thread for the session's in its own loop."""

    def __init__(self, sink: RoomSink, calls: SessionCalls) -> None:
        self._sink = sink
        self._calls = calls

    def report(self, event: RoomEvent) -> None:
        forward = functools.partial(self._sink.report, event)
        if isinstance(event, PacketReceived):
            self._calls.put_packet(forward)
        else:
            self._calls.put(forward)
