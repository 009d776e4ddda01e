"""livelayer-bus without a server: one `rtc.VideoStream` into one channel, N readers of that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

from livekit import rtc

from livelayer_bus.media import VideoChannel, VideoFrame, VideoWriter

from ...frames_recorder import See, Show
from ...frames_worker import Job
from ...publisher import painted

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
async def sharing(job: Job) -> AsyncGenerator[Show]:
    writer = VideoWriter()

    @asynccontextmanager
    async def show(count: int, see: See) -> AsyncGenerator[None]:
        async with running(watch(number, writer.channel, see) for number in range(count)):
            yield

    async with painted(job.width, job.height, job.fps) as track, running([feed(track, writer)]):
        yield show


@asynccontextmanager
async def readers(job: Job, see: See) -> AsyncGenerator[None]:
    async with sharing(job) as show, show(job.readers, see):
        yield


@asynccontextmanager
async def running(work: Iterable[Coroutine[Any, Any, None]]) -> AsyncGenerator[None]:
    """Tasks for the length of the block."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
