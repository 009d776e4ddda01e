"""livelayer-bus: a session, its events read by one subscription."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from livelayer_bus.events import DataReceived
from livelayer_bus.session import Session
from livelayer_bus.surfaces import SurfaceSession

from ...places import Place

NAME = "livelayer-bus"
REQUIRES: tuple[str, ...] = ()


@asynccontextmanager
async def joined(place: Place, heard: Callable[[], None]) -> AsyncGenerator[None]:
    async def listen(session: SurfaceSession) -> None:
        with session.subscribe(DataReceived) as packets:
            async for _ in packets:
                heard()

    async with Session("bench", tokens=place.tokens()) as session:
        session.mount(listen, key="listener")
        await session.connect()
        yield
