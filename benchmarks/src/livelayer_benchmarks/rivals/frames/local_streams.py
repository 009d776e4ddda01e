"""The SDK's way without a server: an `rtc.VideoStream` for each reader of a local track."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ...harness import running
from ...signals.frame_recorder import OnFrame
from ...signals.publisher import painted
from ...workloads.frames import Job
from .._sdk import read_video

NAME = "n VideoStreams"
PART = "local"


@asynccontextmanager
async def readers(job: Job, on_frame: OnFrame) -> AsyncGenerator[None]:
    plan = job.plan
    async with (
        painted(plan.width, plan.height, plan.fps) as track,
        running(*(read_video(number, track, on_frame) for number in range(job.readers))),
    ):
        yield
