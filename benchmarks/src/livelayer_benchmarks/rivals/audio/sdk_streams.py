"""The SDK's way: one room, an `rtc.AudioStream` for each listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from livekit import rtc

from ...audio_worker import Hear
from ...places import Place

NAME = "n AudioStreams"
REQUIRES: tuple[str, ...] = ()


async def listen(number: int, track: rtc.Track, hear: Hear) -> None:
    """Hear every frame of a stream of one's own."""
    stream = rtc.AudioStream(track)
    try:
        async for event in stream:
            hear(number, event.frame.data)
    finally:
        await stream.aclose()


@asynccontextmanager
async def readers(place: Place, count: int, hear: Hear) -> AsyncGenerator[Callable[[], int]]:
    room = rtc.Room()
    tracks: asyncio.Queue[rtc.Track] = asyncio.Queue(1)

    def subscribed(track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            tracks.put_nowait(track)

    room.on("track_subscribed", subscribed)
    await place.join_with(room, "listener")
    track = await tracks.get()
    tasks = [asyncio.create_task(listen(number, track, hear)) for number in range(count)]
    try:
        yield lambda: 0  # its queue has no bound, so it drops nothing
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await room.disconnect()
