"""The SDK's way: one room, an `rtc.VideoStream` for each reader."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from livekit import rtc

from ...harness import running
from ...signals.frame_recorder import OnFrame
from ...workloads.frames import Job
from .._sdk import read_video, subscribed

NAME = "n VideoStreams"
PART = "server"


@asynccontextmanager
async def readers(job: Job, on_frame: OnFrame) -> AsyncGenerator[None]:
    async with (
        subscribed(job.remote(), rtc.TrackKind.KIND_VIDEO) as track,
        running(*(read_video(number, track, on_frame) for number in range(job.readers))),
    ):
        yield
