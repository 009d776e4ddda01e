"""livelayer-bus without a server: one `rtc.VideoStream` into one channel, N readers of that."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from livekit import rtc

from livelayer_bus.media import VideoChannel, VideoFrame, VideoWriter

from ...harness import running
from ...signals.frame_recorder import Attach, OnFrame
from ...signals.publisher import painted
from ...workloads.frames import Job

NAME = "livelayer-bus"
PART = "local"


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


async def read(number: int, channel: VideoChannel, on_frame: OnFrame) -> None:
    """Read every frame."""
    with channel.subscribe() as frames:
        async for frame in frames:
            luma = frame.planes[0]
            on_frame(number, frame, luma, frame.width, frame.height, 0, frame.received_ns)


@asynccontextmanager
async def connected(job: Job) -> AsyncGenerator[Attach]:
    writer, plan = VideoWriter(), job.plan
    channel = writer.channel
    async with painted(plan.width, plan.height, plan.fps) as track, running(feed(track, writer)):
        yield lambda count, on_frame: running(*(read(n, channel, on_frame) for n in range(count)))
