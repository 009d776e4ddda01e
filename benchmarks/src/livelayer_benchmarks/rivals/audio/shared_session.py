"""livelayer-bus: one session, a surface for each listener."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from livelayer_bus.media import AudioSubscription
from livelayer_bus.session import Session
from livelayer_bus.surfaces import SurfaceFunction, SurfaceSession

from ...audio_worker import Hear
from ...places import Place

NAME = "livelayer-bus"
REQUIRES: tuple[str, ...] = ()


@asynccontextmanager
async def readers(place: Place, count: int, hear: Hear) -> AsyncGenerator[Callable[[], int]]:
    subscriptions: list[AudioSubscription] = []

    def listener(number: int) -> SurfaceFunction:
        async def listen(session: SurfaceSession) -> None:
            with session.audio.subscribe() as sound:
                subscriptions.append(sound)
                async for frame in sound:
                    hear(number, frame.data)

        return listen

    async with Session("bench", tokens=place.tokens()) as session:
        for number in range(count):
            session.mount(listener(number), key=f"surface-{number}")
        await session.connect()
        yield lambda: max(one.statistics().dropped for one in subscriptions)
