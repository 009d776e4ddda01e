"""The embedded server against a real one: joins, data round trips, the cost of relaying video.

Both run side by side and are measured in rounds. The real server must run on this machine, since
its CPU is read from its process.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
import psutil
from livekit import rtc

from livelayer_bus.errors import ConfigError

from .. import harness
from ..rivals._sdk import subscribed
from ..signals.publisher import publishing

LIMIT: Final = 1.2  # of the real server's
WIDTH, HEIGHT = 1280, 720
PAYLOAD: Final = b"x" * 200
PAUSE: Final = 0.002  # seconds between two round trips
REPLY_SECONDS: Final = 5.0  # for one reply
CASE_SECONDS: Final = 300.0  # a case takes at most
GOALS: Final[Mapping[str, str]] = {
    "join": "join",
    "data round trip p50": "round_trip",
    "720p30 relay CPU": "relay_cpu",
}
"""Fields of a case."""


class Plan(msgspec.Struct, frozen=True):
    """How much to measure: about two minutes."""

    joins: int = 12
    round_trips: int = 400
    relay_seconds: float = 10.0
    warm_up: float = 3.0
    repetitions: int = 3


class Case(msgspec.Struct, frozen=True):
    """One server in one repetition, times in milliseconds."""

    rival: Annotated[str, harness.Column("server")]
    """"embedded" or "real"."""
    join: harness.Milliseconds
    """Median."""
    round_trip: Annotated[float, harness.Column("round trip", ".2f")]
    """Median of data messages between two participants."""
    relay_cpu: Annotated[float, harness.Column("relay CPU", ".1f", "%")]
    """Percent of one core while 720p30 goes to one viewer."""
    relay_fps: Annotated[float, harness.Column("fps", ".1f")]


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    name: str
    server: harness.Server
    plan: Plan


async def measure(job: Job) -> Case:
    """Measure one server once."""
    server, plan = job.server, job.plan
    joins = [await _join_seconds(harness.new_room(server), number) for number in range(plan.joins)]
    round_trip = await _round_trip_seconds(harness.new_room(server), plan.round_trips)
    cpu, fps = await _relay(harness.new_room(server), _process_of(server.url), plan)
    return Case(
        rival=job.name,
        join=round(1000 * statistics.median(joins), 2),
        round_trip=round(1000 * round_trip, 3),
        relay_cpu=round(cpu, 2),
        relay_fps=round(fps, 2),
    )


def run(plan: Plan, url: str | None, _rivals: list[harness.Rival]) -> harness.Measured:
    """Measure both servers in rounds, in fresh processes."""
    if url is None:
        raise ConfigError("--url", "give the real server to compare the embedded one with")
    with harness.server_for(None) as embedded, harness.server_for(url) as real:
        _process_of(url)  # before anything is measured
        servers = {"embedded": embedded, "real": real}
        measured: list[harness.Row[Case]] = harness.rows(map(harness.Rival, servers))

        def measure_server(row: harness.Row[Case]) -> Case:
            name = row.rival.name
            return harness.ask(measure, Job(name, servers[name], plan), CASE_SECONDS)

        harness.run_rounds("server", measured, plan.repetitions, measure_server)
    ours, theirs = measured
    goals = [
        harness.at_most(f"{title}, embedded against real", LIMIT, ours.ratio(field, theirs))
        for title, field in GOALS.items()
    ]
    return harness.Measured([*ours.answers, *theirs.answers], goals)


async def _join_seconds(room_ref: harness.RoomRef, number: int) -> float:
    began = time.perf_counter()
    room = await room_ref.join(f"joiner-{number}")
    seconds = time.perf_counter() - began
    await room.disconnect()
    return seconds


async def _round_trip_seconds(room_ref: harness.RoomRef, times: int) -> float:
    echoing: asyncio.Queue[bytes] = asyncio.Queue(1)
    back = asyncio.Event()
    near, far = rtc.Room(), rtc.Room()
    far.on("data_received", lambda packet: echoing.put_nowait(packet.data))
    near.on("data_received", lambda _: back.set())
    await room_ref.connect(far, "far")
    await room_ref.connect(near, "near")

    async def echo() -> None:
        while True:
            await far.local_participant.publish_data(await echoing.get(), reliable=True)

    seconds: list[float] = []
    async with harness.running(echo()):
        for _ in range(times):
            back.clear()
            began = time.perf_counter()
            await near.local_participant.publish_data(PAYLOAD, reliable=True)
            async with asyncio.timeout(REPLY_SECONDS):
                await back.wait()
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(PAUSE)
    await near.disconnect()
    await far.disconnect()
    return harness.percentile(sorted(seconds), 0.5)


async def _relay(
    room_ref: harness.RoomRef, server: psutil.Process, plan: Plan
) -> tuple[float, float]:
    with publishing(room_ref, WIDTH, HEIGHT):
        async with subscribed(room_ref, rtc.TrackKind.KIND_VIDEO) as track:
            stream = rtc.VideoStream(track, capacity=2)
            await _count_frames(stream, plan.warm_up)
            before, began = server.cpu_times(), time.perf_counter()
            frames = await _count_frames(stream, plan.relay_seconds)
            after, seconds = server.cpu_times(), time.perf_counter() - began
            await stream.aclose()
    used = after.user + after.system - before.user - before.system
    return 100 * used / seconds, frames / seconds


async def _count_frames(stream: rtc.VideoStream, seconds: float) -> int:
    frames, until = 0, time.perf_counter() + seconds
    async for _ in stream:
        frames += 1
        if time.perf_counter() >= until:
            break
    return frames


def _process_of(url: str) -> psutil.Process:
    port = urlsplit(url).port
    for connection in psutil.net_connections("tcp"):
        address = connection.laddr
        if connection.status == psutil.CONN_LISTEN and address and address.port == port:
            return psutil.Process(connection.pid)
    raise ConfigError("--url", f"no process of this machine listens on port {port}")


AREA = harness.Area(
    name="server",
    plan=Plan(),
    quick=Plan(joins=2, round_trips=20, relay_seconds=1, warm_up=1, repetitions=1),
    run=run,
    tables=(
        harness.Table("a row for each repetition, in ms; CPU of the server, % of a core", Case),
    ),
    server="real",
)
