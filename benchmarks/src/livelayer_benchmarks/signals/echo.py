"""An agent that sends each data packet back to its sender, in a process of its own."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

import msgspec
from livekit import rtc

from ..harness import AGENT, Ready, RoomRef, Send

WAITING: Final = 8192  # packets that may wait to be sent back


class Job(msgspec.Struct, frozen=True):
    """Where to answer."""

    rooms: list[RoomRef]
    every: float = 0.0
    """Seconds from one packet of the agent's own to the next, in each room; 0 for none."""


class Joined(NamedTuple):
    """One room the agent is in, and the packets that came since."""

    room: rtc.Room
    packets: asyncio.Queue[rtc.DataPacket]


async def _join(room_ref: RoomRef) -> Joined:
    room = rtc.Room()
    packets: asyncio.Queue[rtc.DataPacket] = asyncio.Queue(WAITING)
    room.on("data_received", packets.put_nowait)
    await room_ref.connect(room, AGENT, agent=True)
    return Joined(room, packets)


async def _answer(joined: Joined, every: float) -> None:
    """Answer until cancelled."""
    room, packets = joined
    try:
        if every:
            await _talk(room, every)
        while True:
            packet = await packets.get()
            sender = [packet.participant.identity] if packet.participant else []
            await room.local_participant.publish_data(
                packet.data, reliable=True, destination_identities=sender
            )
    finally:
        await room.disconnect()


async def _talk(room: rtc.Room, every: float) -> None:
    message = msgspec.json.encode({"type": "bench_tick", "text": "x" * 60})
    while True:
        await asyncio.sleep(every)
        if room.remote_participants:
            await room.local_participant.publish_data(message, reliable=True)


async def echo(job: Job, send: Send, ended: asyncio.Event) -> None:
    """Answer in every room until the parent ends it."""
    joined = [await _join(room) for room in job.rooms]
    tasks = [asyncio.create_task(_answer(one, job.every)) for one in joined]
    send(Ready())
    waiting = asyncio.create_task(ended.wait())
    # A room that fails ends the process: its silence would look like a slow answer.
    await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in (waiting, *tasks):
        task.cancel()
    await asyncio.wait([waiting, *tasks])
