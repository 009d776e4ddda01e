"""livelayer-bus: one session, a surface for each listener."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from livelayer_bus import Session, SurfaceSession
from livelayer_bus.media import AudioSubscription
from livelayer_bus.surfaces import SurfaceFunction

from ...harness import RoomRef
from ...signals.beeps import OnSamples

NAME = "livelayer-bus"


@asynccontextmanager
async def readers(
    room_ref: RoomRef, count: int, on_samples: OnSamples
) -> AsyncGenerator[Callable[[], int]]:
    subscriptions: list[AudioSubscription] = []

    def listener(number: int) -> SurfaceFunction:
        async def listen(session: SurfaceSession) -> None:
            with session.audio.subscribe() as frames:
                subscriptions.append(frames)
                async for frame in frames:
                    on_samples(number, frame.data)

        return listen

    async with Session("bench", tokens=room_ref.token_source()) as session:
        for number in range(count):
            session.mount(listener(number), key=f"surface-{number}")
        await session.connect()
        yield lambda: max(one.statistics().dropped for one in subscriptions)
