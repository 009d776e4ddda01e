"""The SDK's way without a server: an `rtc.VideoStream` for each reader of a local track."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ...frames_recorder import See
from ...frames_worker import Job
from ...publisher import painted
from .sdk_streams import reading

NAME = "n VideoStreams"
PATH = "local"
REQUIRES: tuple[str, ...] = ()


@asynccontextmanager
async def readers(job: Job, see: See) -> AsyncGenerator[None]:
    async with painted(job.width, job.height, job.fps) as track, reading(job.readers, track, see):
        yield
