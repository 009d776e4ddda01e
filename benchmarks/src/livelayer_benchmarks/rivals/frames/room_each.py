"""A room of its own for each surface: what N copies of a single-surface client do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from ...frames_recorder import See
from ...frames_worker import Job
from ..session.widget_rooms import room_of_its_own

NAME = "n rooms"
PATH = "server"
REQUIRES: tuple[str, ...] = ()


@asynccontextmanager
async def readers(job: Job, see: See) -> AsyncGenerator[None]:
    if job.place is None:
        raise ValueError("rooms need a place")
    async with AsyncExitStack() as stack:
        for number in range(job.readers):
            own = room_of_its_own(job.place, number, see, audio=False)
            await stack.enter_async_context(own)
        yield
