"""The bare SDK: a room and a listener to its data packets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from livekit import rtc

from ...harness import RoomRef

NAME = "bare SDK"
PART = "sessions"


@asynccontextmanager
async def joined(room_ref: RoomRef, on_message: Callable[[], None]) -> AsyncGenerator[None]:
    room = rtc.Room()

    def listen(packet: rtc.DataPacket) -> None:
        del packet
        on_message()

    room.on("data_received", listen)
    await room_ref.connect(room, "viewer")
    try:
        yield
    finally:
        await room.disconnect()
