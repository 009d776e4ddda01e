"""livelayer-bus: one session, a surface for each widget with video, audio and events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from livelayer_bus import Session, SurfaceSession
from livelayer_bus.surfaces import SurfaceFunction

from ...signals.frame_recorder import Attach, OnFrame
from ...workloads.frames import Job
from ..frames.shared_session import frame_reader

NAME = "livelayer-bus, one session"
PART = "widgets"


def widget(number: int, on_frame: OnFrame) -> SurfaceFunction:
    """A surface that reads video, audio and events."""
    read = frame_reader(number, on_frame)

    async def listen(session: SurfaceSession) -> None:
        with session.audio.subscribe() as frames:
            async for _ in frames:
                pass

    async def follow(session: SurfaceSession) -> None:
        with session.subscribe() as events:
            async for _ in events:
                pass

    async def run(session: SurfaceSession) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(read, session)
            group.start_soon(listen, session)
            group.start_soon(follow, session)

    return run


@asynccontextmanager
async def connected(job: Job) -> AsyncGenerator[Attach]:
    async with Session("bench", tokens=job.remote().token_source()) as session:

        @asynccontextmanager
        async def attach(count: int, on_frame: OnFrame) -> AsyncGenerator[None]:
            for number in range(count):
                session.mount(widget(number, on_frame), key=f"widget-{number}")
            await session.connect()
            yield

        yield attach
