"""How soon a program is there: imports, joining a room, the first frame, beside the bare SDK."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import psutil

from .. import harness
from ..signals.publisher import publishing

OURS: Final = "livelayer-bus"
SDK: Final = "bare SDK"
IMPORTS: Final = {
    OURS: "import livelayer_bus",
    "livelayer-bus, Session": "from livelayer_bus import Session",
    SDK: "from livekit import rtc",
}
JOIN_SECONDS: Final = 30.0  # for one room and its first frame
SPARE_SECONDS: Final = 30.0  # for a process to begin and to end
_IMPORT: Final = """\
import sys, time
began = time.perf_counter()
{statement}
print(1000 * (time.perf_counter() - began), flush=True)
sys.stdin.read()
"""


class Plan(msgspec.Struct, frozen=True):
    """How much to measure: about a minute."""

    width: int = 1280
    """A multiple of 32."""
    height: int = 720
    fps: int = 30
    imports: int = 10
    """Fresh processes for each statement."""
    joins: int = 5
    """In one process, one after the other."""
    repetitions: int = 3


class Import(msgspec.Struct, frozen=True, tag_field="kind", tag="import"):
    """An import in a fresh process: medians."""

    rival: str
    statement: harness.Name
    milliseconds: Annotated[float, harness.Column("ms", ".0f")]
    ratio: harness.Ratio
    """`milliseconds` in times of the SDK's."""
    rss: harness.Megabytes
    """Of the process afterwards."""
    rss_ratio: harness.Ratio


class Join(msgspec.Struct, frozen=True, tag_field="kind", tag="join"):
    """From the call that connects, medians in milliseconds."""

    rival: harness.Name
    first_joined: Annotated[float, harness.Column("joined first", ".0f")]
    """Joined, the first time in a process."""
    joined: Annotated[float, harness.Column("joined", ".0f")]
    """Joined, the other times."""
    joined_ratio: harness.Ratio
    """`joined` in times of the SDK's."""
    first_frame: Annotated[float, harness.Column("first frame", ".0f")]
    """The first frame of the agent at a reader, all times but the first."""
    first_frame_ratio: harness.Ratio


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    rival: str
    """A module that `livelayer_benchmarks.rivals.startup` describes."""
    room: harness.RoomRef
    joins: int


class Arrival(NamedTuple):
    """One join, in milliseconds since the call that connects."""

    joined: float
    first_frame: float


class Imported(NamedTuple):
    """One import."""

    milliseconds: float
    rss: float


class Joined(msgspec.Struct, frozen=True):
    """The joins of a process: the first one, and the medians of the others, if there are others."""

    first_joined: float
    joined: float
    first_frame: float


async def measure(job: Job) -> Joined:
    """Join and leave, several times."""
    rival: Any = import_module(job.rival)
    arrivals: list[Arrival] = []
    for _ in range(job.joins):
        async with asyncio.timeout(JOIN_SECONDS):
            arrivals.append(await rival.join(job.room))
    later = arrivals[1:] or arrivals
    return Joined(
        first_joined=arrivals[0].joined,
        joined=statistics.median(one.joined for one in later),
        first_frame=statistics.median(one.first_frame for one in later),
    )


def run(plan: Plan, url: str | None, rivals: list[harness.Rival]) -> harness.Measured:
    """Measure imports, then joins, each in fresh processes, repetitions interleaved."""
    imported: list[harness.Row[Imported]] = harness.rows(map(harness.Rival, IMPORTS))
    harness.run_rounds("startup, imports", imported, plan.imports, _import)
    joined: list[harness.Row[Joined]] = harness.rows(rivals)
    seconds = plan.joins * JOIN_SECONDS + SPARE_SECONDS
    with harness.server_for(url) as server:
        room = harness.new_room(server)

        def measure_row(row: harness.Row[Joined]) -> Joined:
            return harness.ask(measure, Job(row.rival.module, room, plan.joins), seconds)

        with publishing(room, plan.width, plan.height, plan.fps):
            harness.run_rounds("startup, joins", joined, plan.repetitions, measure_row)
    imports, joins = list(_imports(imported)), list(_joins(joined))
    return harness.Measured([*imports, *joins], list(_goals(imports, joins)))


def _import(row: harness.Row[Imported]) -> Imported:
    command = [sys.executable, "-c", _IMPORT.format(statement=IMPORTS[row.rival.name])]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        if process.stdout is None:
            raise RuntimeError("a process without the pipe that it was started with")
        milliseconds = float(process.stdout.readline())
        # Read from outside: the process imports nothing else. It ends as its pipe is closed.
        rss = psutil.Process(process.pid).memory_info().rss / harness.MEGABYTE
        process.communicate()
    return Imported(milliseconds, rss)


def _imports(imported: Sequence[harness.Row[Imported]]) -> Iterator[Import]:
    sdk = harness.fewest(imported, SDK)
    for row in imported:
        yield Import(
            rival=row.rival.name,
            statement=IMPORTS[row.rival.name],
            milliseconds=row.median("milliseconds", 1),
            ratio=row.ratio("milliseconds", sdk),
            rss=row.median("rss", 1),
            rss_ratio=row.ratio("rss", sdk),
        )


def _joins(joined: Sequence[harness.Row[Joined]]) -> Iterator[Join]:
    sdk = harness.fewest(joined, SDK)
    for row in joined:
        yield Join(
            rival=row.rival.name,
            first_joined=row.median("first_joined", 1),
            joined=row.median("joined", 1),
            joined_ratio=row.ratio("joined", sdk),
            first_frame=row.median("first_frame", 1),
            first_frame_ratio=row.ratio("first_frame", sdk),
        )


def _goals(imports: Sequence[Import], joins: Sequence[Join]) -> Iterator[harness.Goal]:
    for case in imports:
        if case.rival != SDK:
            yield harness.at_most(f"{case.statement} against livekit.rtc, time", 1.25, case.ratio)
            yield harness.at_most("the same, memory", 1.25, case.rss_ratio)
    for join in joins:
        if join.rival == OURS:
            yield harness.at_most(
                "connect() to joined, against the bare SDK", 1.1, join.joined_ratio
            )
            name = "connect() to the first frame at a surface, against the bare SDK"
            yield harness.at_most(name, 1.1, join.first_frame_ratio)


AREA = harness.Area(
    name="startup",
    plan=Plan(),
    quick=Plan(imports=3, joins=3, repetitions=1),
    run=run,
    tables=(
        harness.Table("imported in a fresh process", Import),
        harness.Table("from the call that connects, in ms (x the bare SDK)", Join),
    ),
    charts=(
        (
            harness.Bars("startup: import, ms", Import, "milliseconds"),
            harness.Bars("startup: connect() to first frame, ms", Join, "first_frame"),
        ),
    ),
)
