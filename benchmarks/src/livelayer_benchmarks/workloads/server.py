"""The embedded server against a real one: joins, data round trips, the cost of relaying video.

Both run side by side and are measured in rounds. The real server must run on this machine, since
its CPU is read from its process.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
import psutil
from livekit import rtc

from livelayer_bus.errors import ConfigError

from .. import harness
from ..signals.publisher import publishing

LIMIT: Final = 1.2  # of the real server's
WIDTH, HEIGHT = 1280, 720
PAYLOAD: Final = b"x" * 200
PAUSE: Final = 0.002  # seconds between two round trips
REPLY_SECONDS: Final = 5.0  # for one reply
CASE_SECONDS: Final = 300.0  # a case takes at most
GOALS: Final[Mapping[str, Callable[[Any], float]]] = {
    "join": attrgetter("join"),
    "data round trip p50": attrgetter("round_trip"),
    "720p30 relay CPU": attrgetter("relay_cpu"),
}


class Plan(msgspec.Struct, frozen=True):
    """How much to measure: about two minutes."""

    joins: int = 12
    round_trips: int = 400
    relay_seconds: float = 10.0
    warm_up: float = 3.0
    repetitions: int = 3


class Case(msgspec.Struct, frozen=True):
    """One server in one repetition, times in milliseconds."""

    rival: str
    """"embedded" or "real"."""
    join: float
    """Median."""
    round_trip: float
    """Median of data messages between two participants."""
    relay_cpu: float
    """Percent of one core while 720p30 goes to one viewer."""
    relay_fps: float


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    name: str
    server: harness.Server
    plan: Plan


class _Row(NamedTuple):
    """One server, and its cases, one a repetition."""

    label: str
    server: harness.Server
    cases: list[Case]


async def measure(job: Job, send: harness.Send, ended: asyncio.Event) -> None:
    """Measure one server once."""
    server, plan = job.server, job.plan
    joins = [await _join_seconds(harness.new_room(server), number) for number in range(plan.joins)]
    round_trip = await _round_trip_seconds(harness.new_room(server), plan.round_trips)
    cpu, fps = await _relay(harness.new_room(server), _process_of(server.url), plan)
    case = Case(
        rival=job.name,
        join=round(1000 * statistics.median(joins), 2),
        round_trip=round(1000 * round_trip, 3),
        relay_cpu=round(cpu, 2),
        relay_fps=round(fps, 2),
    )
    send(case)


def run(plan: Plan, url: str | None) -> harness.Result[Plan, Case]:
    """Measure both servers in rounds, in fresh processes."""
    if url is None:
        raise ConfigError("--url", "give the real server to compare the embedded one with")
    about = harness.environment("real")

    def measure_server(row: _Row) -> None:
        row.cases.append(harness.ask(measure, Job(row.label, row.server, plan), Case, CASE_SECONDS))

    with harness.server_for(None) as embedded, harness.server_for(url) as real:
        _process_of(url)  # before anything is measured
        measured = [_Row("embedded", embedded, []), _Row("real", real, [])]
        harness.run_rounds("server", measured, plan.repetitions, measure_server)
    ours, theirs = (row.cases for row in measured)
    goals = [
        harness.at_most(
            f"{title}, embedded against real",
            LIMIT,
            harness.median_of_ratios(
                [value(case) for case in ours], [value(case) for case in theirs]
            ),
        )
        for title, value in GOALS.items()
    ]
    return harness.Result(
        environment=about, plan=plan, cases=[*ours, *theirs], goals=goals, skipped={}
    )


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

    echoer = asyncio.create_task(echo())
    seconds: list[float] = []
    try:
        for _ in range(times):
            back.clear()
            began = time.perf_counter()
            await near.local_participant.publish_data(PAYLOAD, reliable=True)
            async with asyncio.timeout(REPLY_SECONDS):
                await back.wait()
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(PAUSE)
    finally:
        echoer.cancel()
        await asyncio.wait([echoer])
        await near.disconnect()
        await far.disconnect()
    return harness.percentile(sorted(seconds), 0.5)


async def _relay(
    room_ref: harness.RoomRef, server: psutil.Process, plan: Plan
) -> tuple[float, float]:
    with publishing(room_ref, WIDTH, HEIGHT):
        room = rtc.Room()
        tracks: asyncio.Queue[rtc.Track] = asyncio.Queue()
        room.on("track_subscribed", lambda track, *_: tracks.put_nowait(track))
        await room_ref.connect(room, "viewer")
        stream = rtc.VideoStream(await tracks.get(), capacity=2)
        await _count_frames(stream, plan.warm_up)
        before, began = server.cpu_times(), time.perf_counter()
        frames = await _count_frames(stream, plan.relay_seconds)
        after, seconds = server.cpu_times(), time.perf_counter() - began
        await stream.aclose()
        await room.disconnect()
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
    plan=Plan(),
    quick=Plan(joins=2, round_trips=20, relay_seconds=1, warm_up=1, repetitions=1),
    run=run,
    tables=(
        harness.Table(
            "a row for each repetition, in ms; CPU of the server in percent of a core",
            (
                harness.Column("rival", "server"),
                harness.Column("join", "join", ".1f"),
                harness.Column("round_trip", "round trip", ".2f"),
                harness.Column("relay_cpu", "relay CPU", ".1f", "%"),
                harness.Column("relay_fps", "fps", ".1f"),
            ),
        ),
    ),
    server="real",
)
