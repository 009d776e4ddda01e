"""livelayer-bus: one session, a surface for each reader."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from livelayer_bus.session import Session
from livelayer_bus.surfaces import SurfaceSession

from ...frames_recorder import See, Show
from ...frames_worker import Job

NAME = "livelayer-bus"
PATH = "server"
REQUIRES: tuple[str, ...] = ()


def watcher(number: int, see: See) -> Callable[[SurfaceSession], Coroutine[Any, Any, None]]:
    """A surface that looks at every picture."""

    async def watch(session: SurfaceSession) -> None:
        with session.video.subscribe() as frames:
            async for frame in frames:
                luma = frame.planes[0]
                see(number, frame, luma, frame.width, frame.height, 0, frame.received_ns)

    return watch


@asynccontextmanager
async def sharing(job: Job) -> AsyncGenerator[Show]:
    if job.place is None:
        raise ValueError("a shared session needs a place to join")
    async with Session("bench", tokens=job.place.tokens()) as session:

        @asynccontextmanager
        async def show(count: int, see: See) -> AsyncGenerator[None]:
            mounted = [
                session.mount(watcher(number, see), key=f"surface-{number}")
                for number in range(count)
            ]
            try:
                yield
            finally:
                for surface in mounted:
                    await surface.unmount()

        await session.connect()
        yield show


@asynccontextmanager
async def readers(job: Job, see: See) -> AsyncGenerator[None]:
    async with sharing(job) as show, show(job.readers, see):
        yield
