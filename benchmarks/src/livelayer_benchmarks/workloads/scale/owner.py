"""A process that owns sessions: scripted rooms, real sessions, and a bridge to NATS on each."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import AsyncExitStack

import msgspec
import nats
from livelayer_nats import NatsBridge
from nats.aio.client import Client

from livelayer_bus import Session
from livelayer_bus.clock import now_ns
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms

from ... import harness

READY, GO, STOP, ECHO = "bench.ready", "bench.go", "bench.stop", "bench.echo"
"""What the processes of one case tell each other, beside the sessions' own subjects."""
TICK = "bench_tick"
TEXT = "x" * 60
WRITE_SECONDS = 60.0  # for the last event to be in the stream


class Job(msgspec.Struct, frozen=True):
    """What one owner does."""

    url: str
    sessions: int
    processes: int
    """Those that read; it begins when each has said that it is ready."""
    rate: float
    """Events a second, of all sessions together."""
    rounds: int
    """Events of each session."""
    lease: float
    bare: bool = False
    """A bare round trip before each event, for comparison."""
    idle: float = 0.0
    """Seconds to measure before the first event."""


class Owning(msgspec.Struct, frozen=True, tag="owning"):
    """The sessions are in the stream."""

    ids: list[str]
    memory: float
    """Megabytes that each session but the first added; 0 of one session."""
    seconds: float
    """That it took for all of them."""


class Owned(msgspec.Struct, frozen=True, tag="owned"):
    """What it measured."""

    cpu: float
    """Milliseconds of this process an event."""
    idle: float
    """The same for each second and session, without events."""
    events: float
    """Events a second that were written."""
    messages: int
    bare: list[float]
    """Bare round trips, milliseconds."""


class Stop(msgspec.Struct, frozen=True):
    """Every event is in the stream: this many of each session."""

    rounds: int


async def own(job: Job, send: harness.Send, ended: asyncio.Event) -> None:
    """Own the sessions, publish their events, and measure what that costs."""
    ready = asyncio.Semaphore(0)

    async def on_ready(_: object) -> None:
        ready.release()

    client = await nats.connect(job.url)
    await client.subscribe(READY, cb=on_ready)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(client.close)
        began, memory = time.monotonic(), 0.0
        rooms: list[ScriptedRoom] = []
        sessions: list[Session] = []
        bridges: list[NatsBridge] = []
        for _ in range(job.sessions):
            scripted = ScriptedRooms(agent="agent")
            session = Session("bench", tokens=scripted.tokens, room=scripted)
            await stack.enter_async_context(session)
            # Many sessions of one process share a connection, as an application's would.
            where = client if job.sessions > 1 else job.url
            bridge = NatsBridge(where, lease_seconds=job.lease)
            session.mount(bridge, key="nats")
            await session.connect()
            rooms.append(await scripted.next())
            sessions.append(session)
            bridges.append(bridge)
            await harness.begun(lambda: bridge.statistics().snapshots > 0)  # noqa: B023
            if len(sessions) == 1:
                gc.collect()
                memory = harness.resident_mb()
        gc.collect()
        memory = (harness.resident_mb() - memory) / max(1, job.sessions - 1)
        took = time.monotonic() - began
        send(Owning([session.id for session in sessions], memory, took))
        for _ in range(job.processes):
            await ready.acquire()
        idle = await _idle(job)
        written = sum(bridge.statistics().messages for bridge in bridges)
        events = [bridge.statistics().events for bridge in bridges]
        await client.publish(GO)
        await client.flush()
        used, began = harness.cpu_seconds(), time.monotonic()
        bare = await _talk(job, client, rooms)
        async with asyncio.timeout(WRITE_SECONDS):
            for bridge, before in zip(bridges, events, strict=True):
                while bridge.statistics().events < before + job.rounds:  # noqa: ASYNC110 - no hook
                    await asyncio.sleep(0.005)
        used, took = harness.cpu_seconds() - used, time.monotonic() - began
        await client.publish(STOP, msgspec.json.encode(Stop(job.rounds)))
        await client.flush()
        count = job.rounds * job.sessions
        send(
            Owned(
                cpu=1000 * used / count,
                idle=idle,
                events=count / took,
                messages=sum(bridge.statistics().messages for bridge in bridges) - written,
                bare=bare,
            )
        )
        await ended.wait()


async def _idle(job: Job) -> float:
    if not job.idle:
        return 0.0
    used = harness.cpu_seconds()
    await asyncio.sleep(job.idle)
    return 1000 * (harness.cpu_seconds() - used) / job.idle / job.sessions


async def _talk(job: Job, client: Client, rooms: list[ScriptedRoom]) -> list[float]:
    """Every session's agent in turn; the bare round trips, in milliseconds."""
    bare: list[float] = []
    due = time.monotonic()
    for _ in range(job.rounds):
        for room in rooms:
            if job.bare:
                began = now_ns()
                await client.request(ECHO, TEXT.encode(), timeout=WRITE_SECONDS)
                bare.append((now_ns() - began) / 1e6)
                await asyncio.sleep(1 / job.rate / 2)
            room.agent_says({"type": TICK, "sent": now_ns(), "text": TEXT})
            due = max(due + 1 / job.rate, time.monotonic() - 1.0)
            await asyncio.sleep(due - time.monotonic())
    return bare
