"""The SDK's way: one room, an `rtc.VideoStream` for each reader."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from livekit import rtc

from ...signals.frame_recorder import Attach
from ...workloads.frames import Job
from .._sdk import streams_of, subscribed

NAME = "n VideoStreams"
PART = "server"


@asynccontextmanager
async def connected(job: Job) -> AsyncGenerator[Attach]:
    async with subscribed(job.remote(), rtc.TrackKind.KIND_VIDEO) as track:
        yield streams_of(track)
