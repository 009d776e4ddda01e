"""A LiveKit room on an event loop of its own, in a thread of its own.

A session whose loop is blocked then neither piles up native frames nor delays the room, and a
trio application gets a real room. It costs a thread a room and a hop a frame.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, Final, Generic, TypeVar, final

import anyio
import msgspec

from ..bus.inbox import Inbox, Post
from ..errors import BrokenError, ClosedError, MisuseError
from ..media import AudioFrame, VideoFrame
from ..media.publishing import F, PublishedTrack, SourceName
from ..tokens import RoomAccess
from .livekit import LiveKitRoom
from .port import MediaWriters, RoomSink
from .thread_bridge import (
    MAX_AUDIO,
    MAX_PACKETS,
    MAX_VIDEO,
    Call,
    FrameBridge,
    SinkBridge,
    post_to_running_loop,
    run_call,
    run_there,
)
from .track_readers import PAUSE_AFTER

SETTLE_SECONDS: Final = 4.0  # for what the SDK still does after the room was left

T = TypeVar("T")


class IsolationStatistics(msgspec.Struct, frozen=True):
    """What the session's loop was too slow for, so far."""

    video_dropped: int
    """Pictures replaced by newer ones before the session's loop ran."""
    audio_dropped: int
    """Frames of sound beyond half a second of waiting."""
    packets_dropped: int
    """Data packets that found 4096 events waiting."""


@final
class IsolatedRoom:
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
        self._sink: SinkBridge | None = None
        self._video: FrameBridge[VideoFrame] | None = None
        self._audio: FrameBridge[AudioFrame] | None = None
        self._closing: Future[None] | None = None
        self._closed = False

    @property
    def native(self) -> None:
        """None: the SDK's room is not this thread's."""
        return

    @property
    def room_name(self) -> str | None:
        """The room's name, once it is known."""
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
        self._post = post_to_running_loop()
        loop = self._loop = asyncio.new_event_loop()
        threading.Thread(target=_run, args=(loop,), name="livelayer room", daemon=True).start()
        calls = self._calls = Inbox(run_call, self._post, MAX_PACKETS)
        bridge = self._sink = SinkBridge(sink, calls)
        video = self._video = FrameBridge(media.video, calls, loop, MAX_VIDEO)
        audio = self._audio = FrameBridge(media.audio, calls, loop, MAX_AUDIO)
        room = self._room = LiveKitRoom(pause_after=self._pause_after)
        await self.call(lambda: room.connect(access, bridge, MediaWriters(video, audio)))

    async def send(self, data: bytes, *, topic: str | None = None, to: Sequence[str] = ()) -> None:
        """As `LiveKitRoom.send`."""
        room = self._joined()
        await self.call(lambda: room.send(data, topic=topic, to=to))

    async def send_text(self, text: str, *, topic: str, to: Sequence[str] = ()) -> None:
        """As `LiveKitRoom.send_text`."""
        room = self._joined()
        await self.call(lambda: room.send_text(text, topic=topic, to=to))

    async def open_track(self, source: SourceName, frame: F) -> PublishedTrack[F]:
        """As `LiveKitRoom.open_track`."""
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
            self._closing = run_there(asyncio.run_coroutine_threadsafe, _shut_down(room), loop)
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
        future = run_there(asyncio.run_coroutine_threadsafe, work(), self._loop)
        try:
            return await self._outcome(future)
        finally:
            future.cancel()

    def hand_over(self, call: Callable[[], None]) -> None:
        """Run `call` in the SDK's loop, after all that was asked of it before."""
        if self._loop is not None and self._closing is None:
            run_there(self._loop.call_soon_threadsafe, call)

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
