"""The embedded server against a real one: `python -m benchmarks.server --url ws://127.0.0.1:7880`.

Both run side by side and are measured in turns: how long a join takes, a data round trip between
two participants, and the server's CPU while it relays 720p30 to one of them. The real server must
run on this machine, since its CPU is read from its process.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psutil
from livekit import rtc
from rich.console import Console
from rich.table import Table

from livelayer_bus.errors import ConfigError, LivelayerError

from ..child import Ready
from ..places import Place, Server, new_room, server_for
from ..processes import started
from ..publisher import Job as PublisherJob
from ..records import Goal, Surroundings, at_most, median_of_ratios, percentile, surroundings

RESULT = Path(__file__).parents[3] / "results" / "server.json"
LIMIT = 1.2  # of the real server's
WIDTH, HEIGHT = 1280, 720
START_SECONDS = 30.0  # for the publisher's process to publish
PAYLOAD = b"x" * 200
PACE = 0.002  # seconds between two round trips


class Plan(msgspec.Struct, frozen=True):
    """How much is measured."""

    joins: int = 12
    round_trips: int = 400
    relay_seconds: float = 10.0
    warm_up_seconds: float = 3.0
    repetitions: int = 3


class Turn(msgspec.Struct, frozen=True):
    """One server, once."""

    server: str
    """"embedded" or "real"."""
    join_ms: float
    round_trip_ms: float
    relay_cpu: float
    """Percent of one core."""
    relay_fps: float


class ServerBenchmark(msgspec.Struct, frozen=True):
    """All turns, and what they come to."""

    surroundings: Surroundings
    plan: Plan
    turns: list[Turn]
    goals: list[Goal]


async def measure(name: str, server: Server, plan: Plan) -> Turn:
    """One turn with one server."""
    joins = [await _join_seconds(new_room(server), n) for n in range(plan.joins)]
    round_trip = await _round_trip_seconds(new_room(server), plan.round_trips)
    cpu, fps = await _relay(new_room(server), _process_of(server.url), plan)
    return Turn(name, statistics.median(joins) * 1e3, round_trip * 1e3, cpu, fps)


async def _join_seconds(place: Place, number: int) -> float:
    began = time.perf_counter()
    room = await place.join(f"joiner-{number}")
    seconds = time.perf_counter() - began
    await room.disconnect()
    return seconds


async def _round_trip_seconds(place: Place, times: int) -> float:
    echoing: asyncio.Queue[bytes] = asyncio.Queue(1)
    back = asyncio.Event()
    near, far = rtc.Room(), rtc.Room()
    far.on("data_received", lambda packet: echoing.put_nowait(packet.data))
    near.on("data_received", lambda _: back.set())
    await place.join_with(far, "far")
    await place.join_with(near, "near")

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
            async with asyncio.timeout(5):
                await back.wait()
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(PACE)
    finally:
        echoer.cancel()
        await asyncio.wait([echoer])
        await near.disconnect()
        await far.disconnect()
    return percentile(sorted(seconds), 0.5)


async def _relay(place: Place, server: psutil.Process, plan: Plan) -> tuple[float, float]:
    job = PublisherJob(place, WIDTH, HEIGHT)
    with started("livelayer_benchmarks.publisher", job) as publisher:
        publisher.answer(Ready, START_SECONDS)
        room = rtc.Room()
        tracks: asyncio.Queue[rtc.Track] = asyncio.Queue()
        room.on("track_subscribed", lambda track, *_: tracks.put_nowait(track))
        await place.join_with(room, "viewer")
        stream = rtc.VideoStream(await tracks.get(), capacity=2)
        await _count_frames(stream, plan.warm_up_seconds)
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


def run(url: str, plan: Plan) -> ServerBenchmark:
    """Measure both servers in turns.

    Raises:
        ConfigError: the real server is not on this machine, or its key and secret are not set.
        BrokenError: a benchmark's process failed.
    """
    turns: list[Turn] = []
    with server_for(None) as embedded, server_for(url) as real:
        places = (("embedded", embedded), ("real", real))
        for repetition in range(plan.repetitions):
            for name, server in places:
                print(f"{repetition + 1} of {plan.repetitions}: {name}", file=sys.stderr)
                turns.append(asyncio.run(measure(name, server, plan)))
    return ServerBenchmark(surroundings("real"), plan, turns, _goals(turns))


def _goals(turns: list[Turn]) -> list[Goal]:
    ours = [turn for turn in turns if turn.server == "embedded"]
    theirs = [turn for turn in turns if turn.server == "real"]
    return [
        at_most(
            f"{title}, embedded against real",
            LIMIT,
            median_of_ratios(
                [getattr(t, field) for t in ours], [getattr(t, field) for t in theirs]
            ),
        )
        for title, field in (
            ("join", "join_ms"),
            ("data round trip p50", "round_trip_ms"),
            ("720p30 relay CPU", "relay_cpu"),
        )
    ]


def show(result: ServerBenchmark) -> None:
    """Print every turn, and the goals."""
    table = Table("server", "join ms", "round trip ms", "relay CPU %", "fps")
    for turn in result.turns:
        figures = (turn.join_ms, turn.round_trip_ms, turn.relay_cpu, turn.relay_fps)
        table.add_row(turn.server, *(f"{figure:.2f}" for figure in figures))
    console = Console()
    console.print(table)
    for goal in result.goals:
        mark = "ok  " if goal.met else "MISS"
        console.print(f"{mark} {goal.name}: {goal.measured:.2f}x (wanted {goal.wanted})")


def main() -> int:
    """Measure, show, write the result; 1 if a goal was missed, 0 too without a real server."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server")
    parser.add_argument("--url", help="a real server; needs LIVEKIT_API_KEY, LIVEKIT_API_SECRET")
    parser.add_argument("--json", type=Path, default=RESULT, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="one short repetition")
    options = parser.parse_args()
    if options.url is None:
        print("no --url: a real server is needed to compare the embedded one with")
        return 0
    quick = Plan(joins=2, round_trips=20, relay_seconds=1, warm_up_seconds=1, repetitions=1)
    try:
        result = run(options.url, quick if options.quick else Plan())
    except LivelayerError as error:
        print(error, file=sys.stderr)
        return 2
    show(result)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    return 0 if all(goal.met for goal in result.goals) else 1


if __name__ == "__main__":
    sys.exit(main())
