"""livelayer-bus without a server: one `rtc.VideoStream` into one channel, N readers of that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from livekit import rtc

from ...media import VideoChannel, VideoFrame, VideoWriter
from ..frames_recorder import See
from ..frames_worker import Job
from ..publisher import painted

NAME = "livelayer-bus"
PATH = "local"
REQUIRES: tuple[str, ...] = ()


async def feed(track: rtc.LocalVideoTrack, writer: VideoWriter) -> None:
    """Push what a track shows, as the room adapter does."""
    stream = rtc.VideoStream(track, format=rtc.VideoBufferType.I420, capacity=2)
    writer.set_available(True)
    try:
        async for event in stream:
            frame = event.frame
            writer.push(VideoFrame(frame.data, frame.width, frame.height))
    finally:
        await stream.aclose()


async def watch(number: int, channel: VideoChannel, see: See) -> None:
    """Look at every picture."""
    with channel.subscribe() as frames:
        async for frame in frames:
            luma = frame.planes[0]
            see(number, frame, luma, frame.width, frame.height, 0, frame.received_ns)


@asynccontextmanager
async def readers(job: Job, see: See) -> AsyncGenerator[None]:
    writer = VideoWriter()
    async with painted(job.width, job.height, job.fps) as track:
        tasks = [asyncio.create_task(watch(n, writer.channel, see)) for n in range(job.readers)]
        tasks.append(asyncio.create_task(feed(track, writer)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
