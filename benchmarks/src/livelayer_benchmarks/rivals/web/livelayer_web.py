"""livelayer-web: one session, its media on a mounted surface, one encode for all pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from livelayer_web import MediaSettings
from livelayer_web.media import LADDER, Media

from livelayer_bus import Session
from livelayer_bus.media import AudioFrame, VideoFrame
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms

from ...web.serving import HEIGHT, RATE, WIDTH

NAME = "livelayer-bus"
REQUIRES = ("livelayer-web", "aiortc")


class Studio:
    """The session's room, which the benchmark feeds, and the surface's media."""

    def __init__(self, room: ScriptedRoom, media: Media) -> None:
        self._room = room
        self._media = media

    def show(self, picture: bytearray) -> None:
        # A copy, as out of the SDK: the painter paints over its pictures.
        self._room.push_video(VideoFrame(bytes(picture), WIDTH, HEIGHT))

    def say(self, samples: bytes) -> None:
        self._room.push_audio(AudioFrame(samples, RATE, 1, len(samples) // 2))

    async def answer(self, offer: str) -> str:
        connection = await self._media.connect(offer)
        connection.want(video=True, audio=True, height=HEIGHT)
        return connection.answer


@asynccontextmanager
async def serving() -> AsyncGenerator[Studio]:
    rooms = ScriptedRooms(agent="agent")
    ready: asyncio.Future[Media] = asyncio.get_running_loop().create_future()

    async def surface(session: SurfaceSession) -> None:
        media = Media(session, MediaSettings(ladder=LADDER[:1]))  # one quality, so is the rival's
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(media.run())
            ready.set_result(media)

    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        await session.connect()
        session.mount(surface, key="web")
        room = await rooms.next()
        room.track_starts("video")
        room.track_starts("audio")
        yield Studio(room, await ready)
