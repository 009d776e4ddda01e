"""The local track as an aiortc track, and readers of it behind a `MediaRelay`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

from aiortc import VideoStreamTrack
from aiortc.contrib.media import MediaRelay
from av import VideoFrame
from livekit import rtc

from ...harness import running
from ...signals.frame_recorder import Attach, OnFrame
from ...signals.publisher import painted
from ...workloads.frames import Job


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


async def read(
    number: int, relay: MediaRelay, track: FromStream, buffered: bool, on_frame: OnFrame
) -> None:
    """Read every frame that the relay passes on."""
    proxy = relay.subscribe(track, buffered=buffered)
    try:
        while True:
            frame = await proxy.recv()
            if isinstance(frame, VideoFrame):
                plane = frame.planes[0]
                luma = memoryview(plane)
                on_frame(number, frame, luma, frame.width, frame.height, plane.line_size, 0)
    finally:
        proxy.stop()


@asynccontextmanager
async def relayed(job: Job, *, buffered: bool) -> AsyncGenerator[Attach]:
    """One relayed local track for the length of the block."""
    relay, plan = MediaRelay(), job.plan
    async with painted(plan.width, plan.height, plan.fps) as painted_track:
        stream = rtc.VideoStream(painted_track)
        track = FromStream(stream)
        try:
            yield lambda count, on_frame: running(
                *(read(number, relay, track, buffered, on_frame) for number in range(count))
            )
        finally:
            track.stop()
            await stream.aclose()
