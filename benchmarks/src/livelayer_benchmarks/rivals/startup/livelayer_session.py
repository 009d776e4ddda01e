"""livelayer-bus: a session and a surface that reads video."""

from __future__ import annotations

import asyncio
import time

from livelayer_bus import Session, SurfaceSession

from ...harness import RoomRef
from ...workloads.startup import Arrival

NAME = "livelayer-bus"


async def join(room_ref: RoomRef) -> Arrival:
    first_frame = asyncio.get_running_loop().create_future()

    async def surface(session: SurfaceSession) -> None:
        with session.video.subscribe() as frames:
            await anext(frames)
            first_frame.set_result(time.perf_counter())

    async with Session("bench", tokens=room_ref.token_source()) as session:
        session.mount(surface, key="surface", on_fault="raise")
        began = time.perf_counter()
        await session.connect()
        joined = time.perf_counter()
        return Arrival(1000 * (joined - began), 1000 * (await first_frame - began))
