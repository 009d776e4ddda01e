"""From the SDK's thread to a session's loop: in order, bounded, counted."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Final, Generic, ParamSpec, TypeVar, final

from ..bus.inbox import Inbox, Post
from ..bus.loop_guard import LoopGuard
from ..errors import ClosedError
from ..media import AudioFrame, VideoFrame
from .errors import report
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


def post_to_running_loop() -> Post:
    """How other threads have the running loop, asyncio's or trio's, make calls in this context."""
    guard, context = LoopGuard(), contextvars.copy_context()
    guard.adopt_running_loop("a room")
    return lambda call: guard.call_soon(functools.partial(context.run, call))


def run_call(call: Call) -> None:
    """Run a call that the SDK's thread handed over; its fault does not end the others."""
    try:
        call()
    except ClosedError:
        pass  # the session closed its channel first
    except Exception as error:  # noqa: BLE001 - see above
        report("handing over to the session", error)


@final
class FrameBridge(Generic[F]):
    """A `FrameTarget` in the SDK's thread for a channel's writer in the session's loop.

    At most `capacity` frames wait, in order; a new one replaces the oldest, which is counted.
    """

    def __init__(
        self,
        target: FrameTarget[F],
        calls: Inbox[Call],
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
        self.dropped = 0
        # Following stops when `close` is called: the channel outlives this room.
        self._forget = target.follow_demand(
            lambda demand: self._post(self._demand_changed, demand),
            lambda: self._post(self._peeked),
        )

    def push(self, frame: F) -> None:
        with self._lock:
            first = not self._waiting
            self.dropped += len(self._waiting) == self._waiting.maxlen
            self._waiting.append(frame)
        if first:
            self._calls.put(self._take, required=True)

    def discard(self) -> None:
        with self._lock:
            self._waiting.clear()
        self._calls.put(self._target.discard, required=True)

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
        for frame in frames:
            self._target.push(frame)


@final
class SinkBridge:
    """A `RoomSink` in the SDK's thread for the session's in its own loop.

    A data packet that finds `MAX_PACKETS` calls waiting is dropped and counted.
    """

    def __init__(self, sink: RoomSink, calls: Inbox[Call]) -> None:
        self._sink = sink
        self._calls = calls
        self.packets_dropped = 0

    def report(self, event: RoomEvent) -> None:
        is_packet = isinstance(event, PacketReceived)
        forward = functools.partial(self._sink.report, event)
        self.packets_dropped += not self._calls.put(forward, required=not is_packet) and is_packet
