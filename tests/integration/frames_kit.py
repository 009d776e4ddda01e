"""What the frame tests are made of: an avatar in a room, and surfaces that behave in known ways."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
from livekit import rtc
from livelayer_benchmarks.signals.stamped_video import Painter, Sampler, read_stamp

from livelayer_bus import Session, SurfaceSession
from livelayer_bus.media import AudioFrame, VideoFrame, VideoSubscription
from livelayer_bus.rooms import LiveKitRoom, RoomFactory
from livelayer_bus.testing import PATIENCE, no_leaked_tasks
from livelayer_bus.testing.waiting import Signal
from livelayer_bus.tokens import RoomAccess, TokenRequest
from tests.rooms.kit import Speaker, Stage, end_track
from tests.support import every

WIDTH, HEIGHT = 320, 192  # blocks of ten pixels carry the picture's number through the codec
FPS = 30
BITRATE = 2_500_000  # bits a second
FRAME_MS = 10  # of sound in one frame

_sampler = Sampler(WIDTH, HEIGHT)


def number_of(frame: VideoFrame) -> int | None:
    """Which picture of the avatar's it is; None if the codec has blurred the number."""
    stamp = read_stamp(_sampler.sample(frame.planes[0]))
    return stamp.number if stamp else None


@asynccontextmanager
async def session_in(stage: Stage, rooms: RoomFactory = LiveKitRoom) -> AsyncGenerator[Session]:
    """A connected session in the stage's room that must leave no task behind."""

    async def tokens(_: TokenRequest) -> RoomAccess:
        return stage.access()

    async with no_leaked_tasks(PATIENCE), Session("agt", tokens=tokens, room=rooms) as session:
        await session.connect()
        yield session


class Shown:
    """What has been shown of a picture so far."""

    def __init__(self) -> None:
        self.number = -1
        """Of the newest picture."""
        self._signal = Signal()

    def note(self, number: int) -> None:
        self.number = number
        self._signal.notify()

    async def shows(self, more: int) -> None:
        """Return when so many more pictures have been shown."""
        goal = self.number + more
        with anyio.fail_after(PATIENCE):
            await self._signal.wait_for(lambda: self.number >= goal)


@asynccontextmanager
async def showing(room: rtc.Room, fps: int = FPS) -> AsyncGenerator[Shown]:
    """A moving, numbered picture, published for the length of the block."""
    source, painter, shown = rtc.VideoSource(WIDTH, HEIGHT), Painter(WIDTH, HEIGHT), Shown()
    track = rtc.LocalVideoTrack.create_video_track("face", source)
    options = rtc.TrackPublishOptions(
        source=rtc.TrackSource.SOURCE_CAMERA,
        simulcast=False,
        # With less to spend, the encoder leaves pictures out.
        video_encoding=rtc.VideoEncoding(max_bitrate=BITRATE, max_framerate=fps),
    )
    publication = await room.local_participant.publish_track(track, options)

    async def paint() -> None:
        async for _ in every(1 / fps):
            picture = painter.paint()
            source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, picture))
            shown.note(painter.number)

    painting = asyncio.create_task(paint())
    try:
        yield shown
    finally:
        painting.cancel()
        await asyncio.wait([painting])
        if room.isconnected():
            await end_track(room, publication.sid)
        await source.aclose()


@asynccontextmanager
async def speaking(room: rtc.Room) -> AsyncGenerator[None]:
    """A voice, for the length of the block."""
    speaker = Speaker(room)
    await speaker.start()
    try:
        yield
    finally:
        await speaker.stop()


@asynccontextmanager
async def leaving(room: rtc.Room) -> AsyncGenerator[rtc.Room]:
    """A participant that leaves with the block."""
    try:
        yield room
    finally:
        await room.disconnect()


class Watcher:
    """A surface that takes every picture as soon as it comes, and keeps none."""

    def __init__(self, *, max_fps: float | None = None) -> None:
        self.max_fps = max_fps
        self.taken: list[weakref.ref[VideoFrame]] = []
        self.received_ns: list[int] = []
        self.most_alive = 0
        self.reader: VideoSubscription | None = None
        self.oldest: int | None = None
        self.newest: int | None = None
        self._signal = Signal()

    async def run(self, session: SurfaceSession) -> None:
        with session.video.subscribe(max_fps=self.max_fps) as self.reader:
            async for frame in self.reader:
                self.taken.append(weakref.ref(frame))
                self.received_ns.append(frame.received_ns)
                number = number_of(frame)
                if number is not None:
                    self.oldest = number if self.oldest is None else self.oldest
                    self.newest = number
                alive = session.video.statistics().frames_alive
                self.most_alive = max(self.most_alive, alive)
                self._signal.notify()

    @property
    def alive(self) -> int:
        """How many of the pictures it took still exist."""
        return sum(ref() is not None for ref in self.taken)

    async def sees(self, more: int) -> None:
        """Return when it has taken so many more pictures."""
        goal = len(self.taken) + more
        await self.until(lambda: len(self.taken) >= goal)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds after a picture."""
        with anyio.fail_after(PATIENCE):
            await self._signal.wait_for(condition)


class Listener:
    """A surface that takes every stretch of sound, and keeps none."""

    def __init__(self) -> None:
        self.taken = 0
        self.newest_ns = 0
        self._signal = Signal()

    async def run(self, session: SurfaceSession) -> None:
        with session.audio.subscribe() as sound:
            async for frame in sound:
                self.take(frame)

    def take(self, frame: AudioFrame) -> None:
        assert frame.received_ns >= self.newest_ns
        self.taken += 1
        self.newest_ns = frame.received_ns
        self._signal.notify()

    async def hears(self, more: int) -> None:
        """Return when it has taken so many more stretches."""
        goal = self.taken + more
        with anyio.fail_after(PATIENCE):
            await self._signal.wait_for(lambda: self.taken >= goal)
