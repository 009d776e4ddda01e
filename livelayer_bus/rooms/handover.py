"""The one-way street from the SDK's thread to a session's loop: in order, bounded, counted."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections import deque
from collections.abc import Callable
from importlib import import_module
from threading import Lock
from typing import Any, Final, ParamSpec, TypeVar, final

import msgspec

from ..contract import FrameTarget, RoomLoss, RoomSink, TrackKind
from ..errors import ClosedError
from ..events import TranscriptEntry
from ..media import AudioFrame, VideoFrame
from .listeners import report

MAX_PACKETS: Final = 4096  # data packets that wait for a loop which does not run
MAX_AUDIO: Final = 50  # frames of 10 ms, likewise
MAX_STREAMS: Final = 1024  # transcription streams whose number is remembered

Call = Callable[[], None]
P = ParamSpec("P")
T = TypeVar("T")


def run_there(hand_over: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Hand something over to the SDK's loop without this task's context.

    Context variables say, among other things, that this is trio.
    """
    return contextvars.Context().run(hand_over, *args, **kwargs)


@final
class Home:
    """The loop of the session, asyncio's or trio's, as other threads reach it."""

    def __init__(self) -> None:
        """Take the running loop."""
        try:
            loop = asyncio.get_running_loop()
            self._post: Callable[[Call], Any] = functools.partial(
                loop.call_soon_threadsafe, context=contextvars.copy_context()
            )
        except RuntimeError:
            self._post = import_module("trio").lowlevel.current_trio_token().run_sync_soon

    def post(self, call: Call) -> bool:
        """Have `call` run in the loop, after all that was posted before; False if it has ended."""
        try:
            self._post(call)
        except RuntimeError:  # trio's RunFinishedError is one of these too
            return False
        return True


@final
class Handover:
    """What waits for the home loop: one wake-up for any number of calls, one picture at most."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = Lock()
        self._calls: deque[Call] = deque()
        self._scheduled = False
        self._closed = False
        self._packets = 0
        self.packets_dropped = 0

    def put(self, call: Call) -> None:
        """Have `call` run at home, in order."""
        with self._lock:
            if self._closed:
                return
            self._calls.append(call)
            if not self._scheduled:
                self._scheduled = self._home.post(self._drain)

    def put_packet(self, call: Call) -> None:
        """The same for a data packet; the newest beyond `MAX_PACKETS` is dropped and counted."""
        with self._lock:
            full = self._packets >= MAX_PACKETS
            self._packets += not full
            self.packets_dropped += full
        if not full:
            self.put(lambda: self._take_packet(call))

    def close(self) -> None:
        """Run nothing any more."""
        with self._lock:
            self._closed = True
            self._calls.clear()

    def _take_packet(self, call: Call) -> None:
        with self._lock:
            self._packets -= 1
        call()

    def _drain(self) -> None:
        with self._lock:
            self._scheduled = False
            calls, self._calls = self._calls, deque()
        for call in calls:
            if self._closed:
                return
            try:
                call()
            except ClosedError:
                pass  # the session closed its channel first
            except Exception as error:  # noqa: BLE001 - one call's fault must not lose the others
                report("handing over to the session", error)


class _Relay:
    """A channel's demand, followed from the SDK's thread."""

    def __init__(
        self, target: FrameTarget[Any], handover: Handover, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Made at home."""
        self._target = target
        self._handover = handover
        self._loop = loop
        self._lock = Lock()
        self.demand = target.demand
        self.dropped = 0
        self._on_demand: list[Callable[[int], None]] = []
        self._on_glance: list[Call] = []
        self._forget = (target.on_demand(self._demanded), target.on_glance(self._glanced))

    def set_available(self, available: bool) -> None:
        self._handover.put(lambda: self._target.set_available(available))

    def on_demand(self, callback: Callable[[int], None]) -> Call:
        self._on_demand.append(callback)
        return lambda: self._on_demand.remove(callback)

    def on_glance(self, callback: Call) -> Call:
        self._on_glance.append(callback)
        return lambda: self._on_glance.remove(callback)

    def close(self) -> None:
        """Follow the demand no more. Called at home."""
        for forget in self._forget:
            forget()

    def _demanded(self, demand: int) -> None:
        run_there(self._loop.call_soon_threadsafe, self._tell_demand, demand)

    def _glanced(self) -> None:
        run_there(self._loop.call_soon_threadsafe, self._tell_glance)

    def _tell_demand(self, demand: int) -> None:
        self.demand = demand
        for callback in tuple(self._on_demand):
            callback(demand)

    def _tell_glance(self) -> None:
        for callback in tuple(self._on_glance):
            callback()


@final
class VideoRelay(_Relay):
    """One slot with the newest picture."""

    _waiting: VideoFrame | None = None

    def push(self, frame: VideoFrame) -> None:
        with self._lock:
            replaced, self._waiting = self._waiting is not None, frame
            self.dropped += replaced
        if not replaced:
            self._handover.put(self._take)

    def discard(self) -> None:
        with self._lock:
            self._waiting = None
        self._handover.put(self._target.discard)

    def _take(self) -> None:
        with self._lock:
            frame, self._waiting = self._waiting, None
        if frame is not None:
            self._target.push(frame)


@final
class AudioRelay(_Relay):
    """A bounded span of sound in order; the oldest goes first."""

    def __init__(
        self,
        target: FrameTarget[AudioFrame],
        handover: Handover,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(target, handover, loop)
        self._waiting: deque[AudioFrame] = deque(maxlen=MAX_AUDIO)

    def push(self, frame: AudioFrame) -> None:
        with self._lock:
            first = not self._waiting
            self.dropped += len(self._waiting) == MAX_AUDIO
            self._waiting.append(frame)
        if first:
            self._handover.put(self._take)

    def discard(self) -> None:
        with self._lock:
            self._waiting.clear()
        self._handover.put(self._target.discard)

    def _take(self) -> None:
        with self._lock:
            frames = tuple(self._waiting)
            self._waiting.clear()
        for frame in frames:
            self._target.push(frame)


@final
class SinkRelay:
    """A `RoomSink` in the SDK's thread for one at home.

    Transcription streams are numbered here, and get the home sink's numbers on their way.
    """

    def __init__(self, sink: RoomSink, handover: Handover) -> None:
        self._sink = sink
        self._handover = handover
        self._opened = 0
        self._numbers: dict[int, int] = {}

    def reconnecting(self, reason: str) -> None:
        self._handover.put(lambda: self._sink.reconnecting(reason))

    def reconnected(self) -> None:
        self._handover.put(self._sink.reconnected)

    def lost(self, loss: RoomLoss) -> None:
        self._handover.put(lambda: self._sink.lost(loss))

    def agent(self, identity: str | None, *, active: bool) -> None:
        self._handover.put(lambda: self._sink.agent(identity, active=active))

    def agent_state(self, raw: str) -> None:
        self._handover.put(lambda: self._sink.agent_state(raw))

    def packet(
        self, data: bytes, *, sender: str | None, topic: str | None, from_agent: bool
    ) -> None:
        self._handover.put_packet(
            lambda: self._sink.packet(data, sender=sender, topic=topic, from_agent=from_agent)
        )

    def stream_opened(self) -> int:
        self._opened += 1
        number = self._opened
        self._handover.put(lambda: self._number(number))
        return number

    def transcription(self, entry: TranscriptEntry) -> None:
        self._handover.put(lambda: self._transcribe(entry))

    def track(
        self, kind: TrackKind, *, available: bool, sid: str | None, participant: str | None
    ) -> None:
        self._handover.put(
            lambda: self._sink.track(kind, available=available, sid=sid, participant=participant)
        )

    def _number(self, number: int) -> None:
        self._numbers[number] = self._sink.stream_opened()
        if len(self._numbers) > MAX_STREAMS:
            del self._numbers[next(iter(self._numbers))]

    def _transcribe(self, entry: TranscriptEntry) -> None:
        number = self._numbers.get(entry.stream)
        if number is not None:
            self._sink.transcription(msgspec.structs.replace(entry, opened=number, stream=number))
