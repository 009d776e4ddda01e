"""The SDK's way: `publish_data` one way, a listener on the room for each reader the other way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import msgspec
from livekit import rtc

from ...harness import AGENT, RoomRef
from ...workloads.data import OnReply, Ping, SendMessage, number_in

NAME = "bare SDK"


@asynccontextmanager
async def exchange(
    room_ref: RoomRef, readers: int, on_reply: OnReply
) -> AsyncGenerator[SendMessage]:
    room = rtc.Room()
    active = asyncio.Event()

    def on_active(*_: object) -> None:
        agent = room.remote_participants.get(AGENT)
        if agent and agent.state == rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE:
            active.set()

    def listener(last: bool) -> Callable[[rtc.DataPacket], None]:
        def listen(packet: rtc.DataPacket) -> None:
            number = number_in(packet.data)
            if last:
                on_reply(number)

        return listen

    for index in range(readers):
        room.on("data_received", listener(index == readers - 1))
    room.on("participant_active", on_active)
    await room_ref.connect(room, "viewer")
    on_active()
    await active.wait()

    async def send(number: int, text: str) -> None:
        message = msgspec.json.encode(Ping(number, text).fields())
        await room.local_participant.publish_data(
            message, reliable=True, destination_identities=[AGENT]
        )

    try:
        yield send
    finally:
        await room.disconnect()
