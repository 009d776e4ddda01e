"""The SDK's way: one room, an `rtc.VideoStream` for each reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from livekit import rtc

from ...frames_recorder import See
from ...frames_worker import Job

NAME = "n VideoStreams"
PATH = "server"
REQUIRES: tuple[str, ...] = ()


async def watch(number: int, track: rtc.Track, see: See) -> None:
    """Look at every picture of a stream of one's own."""
    stream = rtc.VideoStream(track)
    try:
        async for event in stream:
            frame = event.frame
            see(number, frame, frame.data, frame.width, frame.height, 0, 0)
    finally:
        await stream.aclose()


@asynccontextmanager
async def readers(job: Job, see: See) -> AsyncGenerator[None]:
    if job.place is None:
        raise ValueError("streams of a room need a place to join")
    room = rtc.Room()
    tracks: asyncio.Queue[rtc.Track] = asyncio.Queue(1)

    def subscribed(track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_VIDEO:
            tracks.put_nowait(track)

    room.on("track_subscribed", subscribed)
    await job.place.join_with(room, "viewer")
    try:
        async with reading(job.readers, await tracks.get(), see):
            yield
    finally:
        await room.disconnect()


@asynccontextmanager
async def reading(count: int, track: rtc.Track, see: See) -> AsyncGenerator[None]:
    """Readers of one track for the length of the block."""
    tasks = [asyncio.create_task(watch(number, track, see)) for number in range(count)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
