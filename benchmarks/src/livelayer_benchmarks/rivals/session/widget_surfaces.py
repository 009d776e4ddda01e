"""livelayer-bus: one session, a surface for each widget with picture, voice and events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from livelayer_bus.session import Session
from livelayer_bus.surfaces import SurfaceFunction, SurfaceSession

from ...frames_recorder import See
from ...frames_worker import Job
from ..frames.shared_session import watcher

NAME = "livelayer-bus, one session"
PATH = "server"
REQUIRES: tuple[str, ...] = ()


def widget(number: int, see: See) -> SurfaceFunction:
    """A surface that looks, listens and follows events."""
    watch = watcher(number, see)

    async def listen(session: SurfaceSession) -> None:
        with session.audio.subscribe() as sound:
            async for _ in sound:
                pass

    async def follow(session: SurfaceSession) -> None:
        with session.subscribe() as events:
            async for _ in events:
                pass

    async def run(session: SurfaceSession) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(watch, session)
            group.start_soon(listen, session)
            group.start_soon(follow, session)

    return run


@asynccontextmanager
async def readers(job: Job, see: See) -> AsyncGenerator[None]:
    if job.place is None:
        raise ValueError("a session needs a place to join")
    async with Session("bench", tokens=job.place.tokens()) as session:
        for number in range(job.readers):
            session.mount(widget(number, see), key=f"widget-{number}")
        await session.connect()
        yield
