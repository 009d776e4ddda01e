"""The SDK's way without a server: an `rtc.VideoStream` for each reader of a local track."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ...signals.frame_recorder import Attach
from ...signals.publisher import painted
from ...workloads.frames import Job
from .._sdk import streams_of

NAME = "n VideoStreams"
PART = "local"


@asynccontextmanager
async def connected(job: Job) -> AsyncGenerator[Attach]:
    async with painted(job.plan.width, job.plan.height, job.plan.fps) as track:
        yield streams_of(track)
