"""livelayer-bus: `send_data` one way, a subscription for each surface the other way."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from livelayer_bus import DataReceived, Session, SurfaceSession
from livelayer_bus.surfaces import SurfaceFunction

from ...harness import RoomRef
from ...workloads.data import OnReply, Ping, SendMessage, number_in

NAME = "livelayer-bus"
AGENT_SECONDS = 20.0  # for the agent to be active for this session


@asynccontextmanager
async def exchange(
    room_ref: RoomRef, readers: int, on_reply: OnReply
) -> AsyncGenerator[SendMessage]:
    def listener(last: bool) -> SurfaceFunction:
        async def listen(surface: SurfaceSession) -> None:
            with surface.subscribe(DataReceived) as packets:
                async for packet in packets:
                    number = number_in(packet.data)
                    if last:
                        on_reply(number)

        return listen

    async with Session("bench", tokens=room_ref.token_source()) as session:
        for index in range(readers):
            session.mount(listener(index == readers - 1), key=f"surface-{index}")
        await session.connect()
        with session.subscribe() as events, anyio.fail_after(AGENT_SECONDS):
            while not session.state.agent_active:
                await anext(events)

        async def send(number: int, text: str) -> None:
            await session.send_data(Ping(number, text).fields())

        yield send
