"""livelayer-bus: `send_data` one way, a subscription for each surface the other way."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from livelayer_bus.events import DataReceived
from livelayer_bus.session import Session
from livelayer_bus.surfaces import SurfaceFunction, SurfaceSession

from ...data_worker import Heard, Ping, Send, number_in
from ...places import Place

NAME = "livelayer-bus"
REQUIRES: tuple[str, ...] = ()

AGENT_SECONDS = 20.0  # for the agent to be active for this session


@asynccontextmanager
async def line(place: Place, readers: int, heard: Heard) -> AsyncGenerator[Send]:
    def listener(last: bool) -> SurfaceFunction:
        async def listen(surface: SurfaceSession) -> None:
            with surface.subscribe(DataReceived) as packets:
                async for packet in packets:
                    number = number_in(packet.data)
                    if last:
                        heard(number)

        return listen

    async with Session("bench", tokens=place.tokens()) as session:
        for index in range(readers):
            session.mount(listener(index == readers - 1), key=f"surface-{index}")
        await session.connect()
        with session.subscribe() as events, anyio.fail_after(AGENT_SECONDS):
            while not session.state.agent_active:
                await anext(events)

        async def send(number: int, filling: str) -> None:
            await session.send_data(Ping(number, filling).fields())

        yield send
