"""The bare SDK: a room, and an `rtc.VideoStream` of the first video track."""

from __future__ import annotations

import asyncio
import time

from livekit import rtc

from ...harness import RoomRef
from ...workloads.startup import Arrival

NAME = "bare SDK"


async def join(room_ref: RoomRef) -> Arrival:
    room = rtc.Room()
    tracks: asyncio.Queue[rtc.Track] = asyncio.Queue(1)
    room.on("track_subscribed", lambda track, *_: tracks.put_nowait(track))
    began = time.perf_counter()
    await room_ref.connect(room, "viewer")
    joined = time.perf_counter()
    stream = rtc.VideoStream(await tracks.get())
    try:
        await anext(stream)
        return Arrival(1000 * (joined - began), 1000 * (time.perf_counter() - began))
    finally:
        await stream.aclose()
        await room.disconnect()
