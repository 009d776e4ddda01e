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
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar, final

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


@dataclass(eq=False)
class _Link:
    """A connected room, its loop, and the `RoomSink` that brings its events to the session's loop.

    A data packet that finds `MAX_PACKETS` calls waiting is dropped and counted.
    """

    room: LiveKitRoom
    loop: asyncio.AbstractEventLoop
    post: Post
    calls: Inbox[Call]
    sink: RoomSink
    video: _FrameBridge[VideoFrame]
    audio: _FrameBridge[AudioFrame]
    dropped: int = 0

    def report(self, event: RoomEvent) -> None:
        required = not isinstance(event, PacketReceived)
        if not self.calls.put(partial(self.sink.report, event), required=required):
            self.dropped += not required


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
        self._link: _Link | None = None
        self._closing: Future[None] | None = None
        self.closed = False

    @property
    def room_name(self) -> str | None:
        return self._link.room.room_name if self._link else None

    def statistics(self) -> IsolationStatistics:
        """Count what was dropped on the way to the session's loop."""
        link = self._link
        counts = (link.video.dropped, link.audio.dropped, link.dropped) if link else (0, 0, 0)
        return IsolationStatistics(*counts)

    async def connect(self, access: RoomAccess, sink: RoomSink, media: MediaWriters) -> None:
        if self.closed:
            raise ClosedError("the room")
        if self._link is not None:
            raise MisuseError("a room is connected once: create another one")
        guard, context, loop = LoopGuard(), contextvars.copy_context(), asyncio.new_event_loop()
        guard.adopt_running_loop("a room")

        def post(call: Callable[[], object]) -> bool:
            return guard.call_soon(partial(context.run, call))

        def run() -> None:
            with closing(loop):
                loop.run_forever()

        threading.Thread(target=run, name="livelayer room", daemon=True).start()
        calls = Inbox(_run_call, post, MAX_PACKETS)
        video = _FrameBridge(media.video, calls, loop, MAX_VIDEO)
        audio = _FrameBridge(media.audio, calls, loop, MAX_AUDIO)
        room = LiveKitRoom(pause_after=self._pause_after)
        link = self._link = _Link(room, loop, post, calls, sink, video, audio)
        await self.call(lambda room: room.connect(access, link, MediaWriters(video, audio)))

    async def send(self, data: bytes, *, topic: str | None = None, to: Sequence[str] = ()) -> None:
        await self.call(lambda room: room.send(data, topic=topic, to=to))

    async def send_text(self, text: str, *, topic: str, to: Sequence[str] = ()) -> None:
        await self.call(lambda room: room.send_text(text, topic=topic, to=to))

    async def set_attributes(self, attributes: Mapping[str, str]) -> None:
        await self.call(lambda room: room.set_attributes(attributes))

    async def open_track(self, source: SourceName, frame: F) -> PublishedTrack[F]:
        return IsolatedTrack(await self.call(lambda room: room.open_track(source, frame)), self)

    async def aclose(self) -> None:
        """Leave the room and end its thread; cancelled, it goes on by itself."""
        self.closed = True
        link = self._link
        if link is None:
            return
        if self._closing is None:
            link.video.forget()
            link.audio.forget()
            self._closing = _submit(_shut_down(link.room), link.loop)
            stop = partial(link.loop.call_soon_threadsafe, link.loop.stop)
            self._closing.add_done_callback(lambda _: stop())
        try:
            await _outcome(self._closing, link.post)
        finally:
            link.calls.close()

    async def call(self, work: Callable[[LiveKitRoom], Coroutine[Any, Any, T]]) -> T:
        """Run `work` in the SDK's loop and return what it returns; cancelled, so is the work.

        Raises:
            BrokenError: the room was never joined, or its thread has ended.
        """
        link = self._link
        if link is None or self._closing is not None:
            raise BrokenError("the room is not joined (any more): connect again")
        future = _submit(work(link.room), link.loop)
        try:
            return await _outcome(future, link.post)
        finally:
            future.cancel()

    def hand_over(self, call: Callable[[], None]) -> None:
        """Run `call` in the SDK's loop, after all that was asked of it before."""
        if self._link is not None and self._closing is None:
            self._link.loop.call_soon_threadsafe(call, context=contextvars.Context())


@dataclass(eq=False)
class IsolatedTrack(Generic[F]):
    """A track of ours in an isolated room, as `LiveKitTrack`."""

    _track: PublishedTrack[F]
    _room: IsolatedRoom
    _closed: bool = False

    async def push(self, frame: F) -> None:
        self._check()
        await self._room.call(lambda _: self._track.push(frame))

    def set_muted(self, muted: bool) -> None:
        self._check()
        self._room.hand_over(lambda: self._track.set_muted(muted))

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            await self._room.call(lambda _: self._track.aclose())

    def _check(self) -> None:
        if self._closed or self._room.closed:
            raise ClosedError("this track", "open it again")


async def _outcome(future: Future[T], post: Post) -> T:
    done = anyio.Event()
    future.add_done_callback(lambda _: post(done.set))
    await done.wait()
    return future.result()


async def _shut_down(room: LiveKitRoom) -> None:
    await room.aclose()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=SETTLE_SECONDS)


# Work in the SDK's loop has no context of this task's, which says for example that it is trio.
def _submit(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> Future[T]:
    return contextvars.Context().run(asyncio.run_coroutine_threadsafe, work, loop)


def _run_call(call: Call) -> None:
    try:
        call()
    except ClosedError:
        pass  # the session closed its channel first
    except Exception as error:  # noqa: BLE001 - see above
        report("handing over to the session", error)


class _FrameBridge(Generic[F]):
    """A `FrameTarget` in the SDK's thread for a channel's writer in the session's loop.

    At most `capacity` frames wait, in order; a new one replaces the oldest, which is counted. Made
    in the session's loop; `loop` is the SDK's.
    """

    def __init__(
        self,
        target: FrameTarget[F],
        calls: Inbox[Call],
        loop: asyncio.AbstractEventLoop,
        capacity: int,
    ) -> None:
        self._target: FrameTarget[F] = target
        self._calls = calls
        self._loop = loop
        self._lock = threading.Lock()
        self._waiting: deque[F] = deque(maxlen=capacity)
        self._demand = 0
        self._followers: dict[object, tuple[Callable[[int], None], Call]] = {}
        self.dropped = self._told = 0
        # Ends the following, in the session's loop: the channel outlives this room.
        change = self._demand_changed
        self.forget = target.follow_demand(
            lambda demand: self._post(partial(change, demand)), lambda: self._post(self._peeked)
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

    def _post(self, call: Call) -> None:
        self._loop.call_soon_threadsafe(call, context=contextvars.Context())

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
