"""livelayer-bus: one session, a surface for each reader."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from livelayer_bus import Session, SurfaceSession

from ...signals.frame_recorder import Attach, OnFrame
from ...workloads.frames import Job

NAME = "livelayer-bus"
PART = "server"


def frame_reader(
    number: int, on_frame: OnFrame
) -> Callable[[SurfaceSession], Coroutine[Any, Any, None]]:
    """A surface that reads every frame."""

    async def read(session: SurfaceSession) -> None:
        with session.video.subscribe() as frames:
            async for frame in frames:
                luma = frame.planes[0]
                on_frame(number, frame, luma, frame.width, frame.height, 0, frame.received_ns)

    return read


@asynccontextmanager
async def connected(job: Job) -> AsyncGenerator[Attach]:
    async with Session("bench", tokens=job.remote().token_source()) as session:

        @asynccontextmanager
        async def attach(count: int, on_frame: OnFrame) -> AsyncGenerator[None]:
            mounted = [
                session.mount(frame_reader(number, on_frame), key=f"surface-{number}")
                for number in range(count)
            ]
            try:
                yield
            finally:
                for surface in mounted:
                    await surface.unmount()

        await session.connect()
        yield attach
