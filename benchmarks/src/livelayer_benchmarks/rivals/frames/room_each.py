"""A room of its own for each surface: what N copies of a single-surface client do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from ...signals.frame_recorder import OnFrame
from ...workloads.frames import Job
from .._sdk import widget_room

NAME = "n rooms"
PART = "server"


@asynccontextmanager
async def readers(job: Job, on_frame: OnFrame) -> AsyncGenerator[None]:
    async with AsyncExitStack() as stack:
        for number in range(job.readers):
            own = widget_room(job.remote(), number, on_frame, audio=False)
            await stack.enter_async_context(own)
        yield
