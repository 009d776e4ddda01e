"""A session whose agent shows stamped pictures and says a tone, and the media of its pages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

import numpy as np
from livelayer_web import MediaSettings, Quality
from livelayer_web.media import Media

from livelayer_bus import Session
from livelayer_bus.media import AudioFrame, VideoFrame
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms

from ..picture import Painter

FPS: Final = 30
SAMPLE_RATE: Final = 48_000  # Hz
FRAME: Final = 960  # samples, 20 ms
TONE: Final = 500  # Hz: whole periods fit a frame
LATE: Final = 0.05  # seconds that a late beat may catch up


async def beat(seconds: float, work: Callable[[], None]) -> None:
    """Call `work` in a fixed rhythm; late, it goes on from now."""
    due = time.monotonic()
    while True:
        work()
        due = max(due + seconds, time.monotonic() - LATE)
        await asyncio.sleep(due - time.monotonic())


@asynccontextmanager
async def performing(room: ScriptedRoom, width: int, height: int) -> AsyncGenerator[None]:
    """The agent is seen and heard for the length of the block."""
    painter = Painter(width, height)
    phase = np.arange(FRAME) * (2 * np.pi * TONE / SAMPLE_RATE)
    tone = (np.sin(phase) * 8000).astype(np.int16).tobytes()
    room.track_starts("video")
    room.track_starts("audio")

    def show() -> None:
        room.push_video(VideoFrame(bytes(painter.paint()), width, height))

    def speak() -> None:
        room.push_audio(AudioFrame(tone, SAMPLE_RATE, 1, FRAME))

    tasks = [
        asyncio.create_task(beat(1 / FPS, show)),
        asyncio.create_task(beat(FRAME / SAMPLE_RATE, speak)),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@asynccontextmanager
async def serving(width: int, height: int, bitrate: int) -> AsyncGenerator[Media]:
    """Media in one quality, of an agent of that size, for the length of the block."""
    settings = MediaSettings(ladder=(Quality(f"{height}p", height, bitrate, FPS),))
    ready: asyncio.Future[Media] = asyncio.get_running_loop().create_future()

    async def surface(session: SurfaceSession) -> None:
        media = Media(session, settings)
        asyncio.get_running_loop().call_soon(ready.set_result, media)
        await media.run()

    rooms = ScriptedRooms(agent="agent")
    async with Session("bench", tokens=rooms.tokens, room=rooms) as session:
        await session.connect()
        async with performing(await rooms.next(), width, height):
            session.mount(surface, key="web")
            yield await ready
