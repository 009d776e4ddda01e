"""The local track as an aiortc track, and readers of it behind a `MediaRelay`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

from aiortc import VideoStreamTrack
from aiortc.contrib.media import MediaRelay
from av import VideoFrame
from livekit import rtc

from ...frames_recorder import See
from ...frames_worker import Job
from ...publisher import painted


class FromStream(VideoStreamTrack):
    """What an `rtc.VideoStream` shows, copied once into aiortc's kind of frame."""

    def __init__(self, stream: rtc.VideoStream) -> None:
        super().__init__()
        self._stream = stream

    async def recv(self) -> VideoFrame:
        event = await anext(self._stream)
        source = event.frame
        frame = VideoFrame(source.width, source.height, "yuv420p")
        start = 0
        for plane in frame.planes:
            end = start + plane.buffer_size
            # It takes any buffer; a copy of the slice would be the benchmark's own.
            plane.update(cast(bytes, source.data[start:end]))
            start = end
        return frame


async def watch(
    number: int, relay: MediaRelay, track: FromStream, buffered: bool, see: See
) -> None:
    """Look at every picture the relay hands on."""
    proxy = relay.subscribe(track, buffered=buffered)
    try:
        while True:
            frame = await proxy.recv()
            if isinstance(frame, VideoFrame):
                plane = frame.planes[0]
                luma = memoryview(plane)
                see(number, frame, luma, frame.width, frame.height, plane.line_size, 0)
    finally:
        proxy.stop()


@asynccontextmanager
async def relayed(job: Job, see: See, *, buffered: bool) -> AsyncGenerator[None]:
    """Readers of one relayed local track for the length of the block."""
    relay = MediaRelay()
    async with painted(job.width, job.height, job.fps) as painted_track:
        stream = rtc.VideoStream(painted_track)
        track = FromStream(stream)
        tasks = [
            asyncio.create_task(watch(number, relay, track, buffered, see))
            for number in range(job.readers)
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            track.stop()
            await stream.aclose()
