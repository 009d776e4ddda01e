"""The SDK's way: `publish_data` one way, a listener on the room for each reader the other way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import msgspec
from livekit import rtc

from ...data_worker import Heard, Ping, Send, number_in
from ...places import AGENT, Place

NAME = "bare SDK"
REQUIRES: tuple[str, ...] = ()


@asynccontextmanager
async def line(place: Place, readers: int, heard: Heard) -> AsyncGenerator[Send]:
    room = rtc.Room()
    active = asyncio.Event()

    def look(*_: object) -> None:
        agent = room.remote_participants.get(AGENT)
        if agent and agent.state == rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE:
            active.set()

    def listener(last: bool) -> Callable[[rtc.DataPacket], None]:
        def listen(packet: rtc.DataPacket) -> None:
            number = number_in(packet.data)
            if last:
                heard(number)

        return listen

    for index in range(readers):
        room.on("data_received", listener(index == readers - 1))
    room.on("participant_active", look)
    await place.join_with(room, "viewer")
    look()
    await active.wait()

    async def send(number: int, filling: str) -> None:
        message = msgspec.json.encode(Ping(number, filling).fields())
        await room.local_participant.publish_data(
            message, reliable=True, destination_identities=[AGENT]
        )

    try:
        yield send
    finally:
        await room.disconnect()
