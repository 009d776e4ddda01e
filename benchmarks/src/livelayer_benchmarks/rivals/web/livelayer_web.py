"""livelayer-web: one session, its media on a mounted surface, one encode for all pages.

`livelayer_web.media` is not public: what is measured is the media without an HTTP server, since the
rival has none either.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from livelayer_web import MediaSettings
from livelayer_web.media import LADDER, Media

from livelayer_bus import AudioFrame, Session, SurfaceSession, VideoFrame
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms

from ...workloads.web.server import HEIGHT, RATE, WIDTH

NAME = "livelayer-bus"
REQUIRES = ("livelayer-web", "aiortc")


class SessionMedia:
    """The session's room, which the benchmark feeds, and the surface's media."""

    def __init__(self, room: ScriptedRoom, media: Media, width: int, height: int) -> None:
        self._room = room
        self._media = media
        self._size = (width, height)

    def push_video(self, frame: bytearray) -> None:
        # A copy, as out of the SDK: the painter paints over its frames.
        self._room.push_video(VideoFrame(bytes(frame), *self._size))

    def push_audio(self, samples: bytes) -> None:
        self._room.push_audio(AudioFrame(samples, RATE, 1, len(samples) // 2))

    async def answer(self, offer: str) -> str:
        connection = await self._media.connect(offer)
        connection.want(video=True, audio=True, height=self._size[1])
        return connection.answer


@asynccontextmanager
async def session_media(
    settings: MediaSettings, width: int, height: int
) -> AsyncGenerator[SessionMedia]:
    """The media of a session whose agent sends frames of that size, for the length of the block."""
    rooms = ScriptedRooms(agent="agent")
    ready: asyncio.Future[Media] = asyncio.get_running_loop().create_future()

    async def surface(session: SurfaceSession) -> None:
        media = Media(session, settings)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(media.run())
            ready.set_result(media)

    async with Session("bench", tokens=rooms.tokens, room=rooms) as session:
        await session.connect()
        session.mount(surface, key="web")
        room = await rooms.next()
        room.track_starts("video")
        room.track_starts("audio")
        yield SessionMedia(room, await ready, width, height)


@asynccontextmanager
async def media_server() -> AsyncGenerator[SessionMedia]:
    settings = MediaSettings(ladder=LADDER[:1])  # one quality, as the rival has
    async with session_media(settings, WIDTH, HEIGHT) as media:
        yield media
