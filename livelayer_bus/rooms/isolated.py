"""A LiveKit room on an event loop of its own, in a thread of its own.

A session whose loop is blocked then neither piles up native frames nor delays the room, and a
trio application gets a real room. It costs a thread a room and a hop a frame.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, Generic, ParamSpec, TypeVar, final

import anyio
import msgspec

from ..bus.inbox import Inbox, Post
from ..bus.loop_guard import LoopGuard
from ..errors import BrokenError, ClosedError, MisuseError
from ..media import AudioFrame, VideoFrame
from ..media.publishing import F, PublishedTrack, SourceName
from ..tokens import RoomAccess
from .errors import report
from .livekit import LiveKitRoom
from .port import FrameTarget, MediaWriters, PacketReceived, RoomEvent, RoomPort, RoomSink
from .track_readers import PAUSE_AFTER

MAX_PACKETS: Final = 4096  # data packets that wait for a loop which does not run
MAX_AUDIO: Final = 50  # frames of 10 ms, likewise
MAX_VIDEO: Final = 1  # likewise
SETTLE_SECONDS: Final = 4.0  # for what the SDK still does after the room was left

P = ParamSpec("P")
T = TypeVar("T")
Call = Callable[[], None]


class IsolationStatistics(msgspec.Struct, frozen=True):
    """What the session's loop was too slow for, so far."""

    video_dropped: int
    """Pictures replaced by newer ones before the session's loop ran."""
    audio_dropped: int
    """Frames of sound beyond half a second of waiting."""
    packets_dropped: int
    """Data packets that found 4096 events waiting."""


@final
class IsolatedRoom(RoomPort):
    """A `RoomPort` like `LiveKitRoom`, used once: `Session(..., room=IsolatedRoom)`.

    Events arrive in order; of pictures that come while the session's loop does not run, it gets
    the newest, of sound the last half second. Works on asyncio and on trio. The SDK's own room
    object belongs to the other thread, so `native`, and with it `session.room`, is None.
    """

    def __init__(self, *, pause_after: float | None = PAUSE_AFTER) -> None:
        """Make a room that is not connected yet; see `LiveKitRoom` for `pause_after`."""
        self._pause_after = pause_after
        self._room: LiveKitRoom | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._post: Post | None = None
        self._calls: Inbox[Call] | None = None
        self._sink: _SinkBridge | None = None
        self._video: _FrameBridge[VideoFrame] | None = None
        self._audio: _FrameBridge[AudioFrame] | None = None
        self._closing: Future[None] | None = None
        self._closed = False

    @property
    def native(self) -> None:
        """None: the SDK's room is not this thread's."""
        return

    @property
    def room_name(self) -> str | None:
        return self._room.room_name if self._room is not None else None

    def statistics(self) -> IsolationStatistics:
        """Count what was dropped on the way to the session's loop."""
        return IsolationStatistics(
            video_dropped=self._video.dropped if self._video else 0,
            audio_dropped=self._audio.dropped if self._audio else 0,
            packets_dropped=self._sink.packets_dropped if self._sink else 0,
        )

    async def connect(self, access: RoomAccess, sink: RoomSink, media: MediaWriters) -> None:
        """As `LiveKitRoom.connect`; `sink` and `media` are used in the loop of this call."""
        if self._closed:
            raise ClosedError("the room")
        if self._post is not None:
            raise MisuseError("a room is connected once: create another one")
        self._post = _post_to_running_loop()
        loop = self._loop = asyncio.new_event_loop()
        threading.Thread(target=_run, args=(loop,), name="livelayer room", daemon=True).start()
        calls = self._calls = Inbox(_run_call, self._post, MAX_PACKETS)
        bridge = self._sink = _SinkBridge(sink, calls)
        video = self._video = _FrameBridge(media.video, calls, loop, MAX_VIDEO)
        audio = self._audio = _FrameBridge(media.audio, calls, loop, MAX_AUDIO)
        room = self._room = LiveKitRoom(pause_after=self._pause_after)
        await self.call(lambda: room.connect(access, bridge, MediaWriters(video, audio)))

    async def send(self, data: bytes, *, topic: str | None = None, to: Sequence[str] = ()) -> None:
        room = self._joined()
        await self.call(lambda: room.send(data, topic=topic, to=to))

    async def send_text(self, text: str, *, topic: str, to: Sequence[str] = ()) -> None:
        room = self._joined()
        await self.call(lambda: room.send_text(text, topic=topic, to=to))

    async def set_attributes(self, attributes: Mapping[str, str]) -> None:
        room = self._joined()
        await self.call(lambda: room.set_attributes(attributes))

    async def open_track(self, source: SourceName, frame: F) -> PublishedTrack[F]:
        room = self._joined()
        track = await self.call(lambda: room.open_track(source, frame))
        return IsolatedTrack(track, self)

    async def aclose(self) -> None:
        """Leave the room and end its thread; cancelled, it goes on by itself."""
        self._closed = True
        room, loop = self._room, self._loop
        if room is None or loop is None:
            return
        if self._closing is None:
            for bridge in (self._video, self._audio):
                if bridge is not None:
                    bridge.close()
            self._closing = _run_there(asyncio.run_coroutine_threadsafe, _shut_down(room), loop)
            self._closing.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
        try:
            await self._outcome(self._closing)
        finally:
            if self._calls is not None:
                self._calls.close()

    async def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `work` in the SDK's loop and return what it returns; cancelled, so is the work.

        Raises:
            BrokenError: the room's thread has ended.
        """
        if self._loop is None or self._closing is not None:
            raise BrokenError("the room is not joined (any more): connect again")
        future = _run_there(asyncio.run_coroutine_threadsafe, work(), self._loop)
        try:
            return await self._outcome(future)
        finally:
            future.cancel()

    def hand_over(self, call: Callable[[], None]) -> None:
        """Run `call` in the SDK's loop, after all that was asked of it before."""
        if self._loop is not None and self._closing is None:
            _run_there(self._loop.call_soon_threadsafe, call)

    async def _outcome(self, future: Future[T]) -> T:
        post, done = self._post, anyio.Event()
        if post is None:
            raise BrokenError("the room is not joined: connect first")
        future.add_done_callback(lambda _: post(done.set))
        await done.wait()
        return future.result()

    def _joined(self) -> LiveKitRoom:
        if self._room is None:
            raise BrokenError("the room is not joined: connect first")
        return self._room


@final
class IsolatedTrack(Generic[F]):
    """A track of ours in an isolated room."""

    def __init__(self, track: PublishedTrack[F], room: IsolatedRoom) -> None:
        self._track: PublishedTrack[F] = track
        self._room = room
        self._closed = False

    async def push(self, frame: F) -> None:
        """Return when the room took the frame; waits while its buffer is full."""
        self._check()
        await self._room.call(lambda: self._track.push(frame))

    def set_muted(self, muted: bool) -> None:
        """Send silence or no picture, or the real one again."""
        self._check()
        self._room.hand_over(lambda: self._track.set_muted(muted))

    async def aclose(self) -> None:
        """Unpublish; closing twice does nothing."""
        if not self._closed:
            self._closed = True
            await self._room.call(self._track.aclose)

    def _check(self) -> None:
        if self._closed or self._room._closed:  # noqa: SLF001 - same module
            raise ClosedError("this track", "open it again")


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _shut_down(room: LiveKitRoom) -> None:
    await room.aclose()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=SETTLE_SECONDS)


# From the SDK's thread to the session's loop: in order, bounded, counted -----------------------


def _run_there(hand_over: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Hand a call over to the SDK's loop without this task's context.

    Context variables say, among other things, that this is trio.
    """
    return contextvars.Context().run(hand_over, *args, **kwargs)


def _post_to_running_loop() -> Post:
    """How other threads have the running loop, asyncio's or trio's, make calls in this context."""
    guard, context = LoopGuard(), contextvars.copy_context()
    guard.adopt_running_loop("a room")
    return lambda call: guard.call_soon(partial(context.run, call))


def _run_call(call: Call) -> None:
    """Run a call that the SDK's thread handed over; its fault does not end the others."""
    try:
        call()
    except ClosedError:
        pass  # the session closed its channel first
    except Exception as error:  # noqa: BLE001 - see above
        report("handing over to the session", error)


@final
class _FrameBridge(Generic[F]):
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
        self._lock = threading.Lock()
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
            self._calls.put(self._take, required=True)

    def count_dropped(self, frames: int = 1) -> None:
        self.dropped += frames

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
        _run_there(self._loop.call_soon_threadsafe, partial(call, *args, **kwargs))

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
class _SinkBridge:
    """A `RoomSink` in the SDK's thread for the session's in its own loop.

    A data packet that finds `MAX_PACKETS` calls waiting is dropped and counted.
    """

    def __init__(self, sink: RoomSink, calls: Inbox[Call]) -> None:
        self._sink = sink
        self._calls = calls
        self.packets_dropped = 0

    def report(self, event: RoomEvent) -> None:
        is_packet = isinstance(event, PacketReceived)
        forward = partial(self._sink.report, event)
        self.packets_dropped += not self._calls.put(forward, required=not is_packet) and is_packet
