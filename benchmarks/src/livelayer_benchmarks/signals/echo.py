"""An agent that sends each data packet back to its sender, in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import msgspec
from livekit import rtc

from ..harness import AGENT, Ready, RoomRef, Send

WAITING: Final = 8192  # packets that may wait to be sent back


class Job(msgspec.Struct, frozen=True):
    """Where to answer."""

    rooms: list[RoomRef]
    every: float = 0.0
    """Seconds from one packet of the agent's own to the next, in each room; 0 for none."""


@asynccontextmanager
async def _agent(room_ref: RoomRef, every: float) -> AsyncGenerator[Coroutine[Any, Any, None]]:
    """An agent in the room, and what it does there until cancelled."""
    room = rtc.Room()
    packets: asyncio.Queue[rtc.DataPacket] = asyncio.Queue(WAITING)
    room.on("data_received", packets.put_nowait)
    await room_ref.connect(room, AGENT, agent=True)
    try:
        yield _talk(room, every) if every else _answer(room, packets)
    finally:
        await room.disconnect()


async def _answer(room: rtc.Room, packets: asyncio.Queue[rtc.DataPacket]) -> None:
    while True:
        packet = await packets.get()
        sender = [packet.participant.identity] if packet.participant else []
        await room.local_participant.publish_data(
            packet.data, reliable=True, destination_identities=sender
        )


async def _talk(room: rtc.Room, every: float) -> None:
    message = msgspec.json.encode({"type": "bench_tick", "text": "x" * 60})
    while True:
        await asyncio.sleep(every)
        if room.remote_participants:
            await room.local_participant.publish_data(message, reliable=True)


async def echo(job: Job, send: Send, ended: asyncio.Event) -> None:
    """Answer in every room until the parent ends it."""
    async with AsyncExitStack() as stack:
        work = [await stack.enter_async_context(_agent(room, job.every)) for room in job.rooms]
        # A room that fails ends the process: its silence would look like a slow answer.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
            send(Ready())
            await ended.wait()
            for task in tasks:
                task.cancel()
