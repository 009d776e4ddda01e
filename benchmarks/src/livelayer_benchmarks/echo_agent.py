"""An agent that sends each data packet back to its sender, in a process of its own.

Started by the harness as `python -m livelayer_benchmarks.echo_agent`.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

import msgspec
from livekit import rtc

from .child import Ready, Say, serve
from .places import AGENT, Place

WAITING: Final = 8192  # packets that may wait to be sent back


class Seat(NamedTuple):
    """One room the agent is in."""

    room: rtc.Room
    packets: asyncio.Queue[rtc.DataPacket]


class Job(msgspec.Struct, frozen=True):
    """Where to answer."""

    places: list[Place]
    every: float = 0.0
    """Seconds from one packet of the agent's own to the next, in each room; 0 for none."""


async def join(place: Place) -> Seat:
    """Join, and keep what comes from then on."""
    room = rtc.Room()
    packets: asyncio.Queue[rtc.DataPacket] = asyncio.Queue(WAITING)
    room.on("data_received", packets.put_nowait)
    await place.join_with(room, AGENT, agent=True)
    return Seat(room, packets)


async def answer(seat: Seat, every: float) -> None:
    """Answer until cancelled."""
    room, packets = seat
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


async def work(job: Job, say: Say, ended: asyncio.Event) -> None:
    """Answer in every room until the parent ends it."""
    seats = [await join(place) for place in job.places]
    tasks = [asyncio.create_task(answer(seat, job.every)) for seat in seats]
    say(Ready())
    waiting = asyncio.create_task(ended.wait())
    # A room that fails ends the process: its silence would look like a slow answer.
    await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in (waiting, *tasks):
        task.cancel()
    await asyncio.wait([waiting, *tasks])


if __name__ == "__main__":
    serve(Job, work)
