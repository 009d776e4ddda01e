"""The bare SDK: a room and a listener to its data packets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from livekit import rtc

from ...places import Place

NAME = "bare SDK"
REQUIRES: tuple[str, ...] = ()


@asynccontextmanager
async def joined(place: Place, heard: Callable[[], None]) -> AsyncGenerator[None]:
    room = rtc.Room()

    def listen(packet: rtc.DataPacket) -> None:
        del packet
        heard()

    room.on("data_received", listen)
    await place.join_with(room, "viewer")
    try:
        yield
    finally:
        await room.disconnect()
