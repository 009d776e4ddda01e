"""livelayer-bus: a session, its events read by one subscription."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from livelayer_bus import DataReceived, Session, SurfaceSession

from ...harness import RoomRef

NAME = "livelayer-bus"
PART = "sessions"


@asynccontextmanager
async def joined(room_ref: RoomRef, on_message: Callable[[], None]) -> AsyncGenerator[None]:
    async def listen(session: SurfaceSession) -> None:
        with session.subscribe(DataReceived) as packets:
            async for _ in packets:
                on_message()

    async with Session("bench", tokens=room_ref.token_source()) as session:
        session.mount(listen, key="listener")
        await session.connect()
        yield
