"""How soon a program is there: imports, joining a room, the first frame, beside the bare SDK."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Final, NamedTuple, Protocol, cast

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
    statement: str
    milliseconds: float
    ratio: float
    """`milliseconds` in times of the SDK's."""
    rss: float
    """Megabytes of the process afterwards."""
    rss_ratio: float


class Join(msgspec.Struct, frozen=True, tag_field="kind", tag="join"):
    """From the call that connects, medians in milliseconds."""

    rival: str
    first_joined: float
    """Joined, the first time in a process."""
    joined: float
    """Joined, the other times."""
    joined_ratio: float
    """`joined` in times of the SDK's."""
    first_frame: float
    """The first frame of the agent at a reader, all times but the first."""
    first_frame_ratio: float


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


class Answer(msgspec.Struct, frozen=True):
    """Every join of a process."""

    arrivals: list[Arrival]


class StartupRival(Protocol):
    """The function of a rival's module."""

    async def join(self, room: harness.RoomRef, /) -> Arrival: ...


async def measure(job: Job, send: harness.Send, ended: asyncio.Event) -> None:
    """Join and leave, several times."""
    rival = cast(StartupRival, import_module(job.rival))
    arrivals: list[Arrival] = []
    for _ in range(job.joins):
        async with asyncio.timeout(JOIN_SECONDS):
            arrivals.append(await rival.join(job.room))
    send(Answer(arrivals))


class _Imported(NamedTuple):
    """An import, and what each time took."""

    label: str
    milliseconds: list[float]
    rss: list[float]


def run(
    plan: Plan, url: str | None = None, modules: Sequence[str] = ()
) -> harness.Result[Plan, Import | Join]:
    """Measure imports, then joins, each in fresh processes, repetitions interleaved."""
    rivals, skipped = harness.load_rivals(modules or harness.rivals_of("startup"))
    about = harness.environment("real" if url else "embedded", rivals)
    imported = [_Imported(name, [], []) for name in IMPORTS]
    harness.run_rounds("startup, imports", imported, plan.imports, _import)
    joined: list[harness.Row[Answer]] = harness.rows(rivals, [1])
    seconds = plan.joins * JOIN_SECONDS + SPARE_SECONDS
    with harness.server_for(url) as server:
        room = harness.new_room(server)

        def measure_row(row: harness.Row[Answer]) -> None:
            job = Job(row.rival.module, room, plan.joins)
            row.answers.append(harness.ask(measure, job, Answer, seconds))

        with publishing(room, plan.width, plan.height, plan.fps):
            harness.run_rounds("startup, joins", joined, plan.repetitions, measure_row)
    imports, joins = list(_imports(imported)), list(_joins(joined))
    return harness.Result(
        environment=about,
        plan=plan,
        cases=[*imports, *joins],
        goals=list(_goals(imports, joins)),
        skipped=skipped,
    )


def _import(row: _Imported) -> None:
    command = [sys.executable, "-c", _IMPORT.format(statement=IMPORTS[row.label])]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        if process.stdout is not None and process.stdin is not None:
            row.milliseconds.append(float(process.stdout.readline()))
            # Read from outside: the process imports nothing else.
            row.rss.append(psutil.Process(process.pid).memory_info().rss / harness.MEGABYTE)
            process.stdin.close()


def _imports(imported: Sequence[_Imported]) -> Iterator[Import]:
    sdk = next(row for row in imported if row.label == SDK)
    for row in imported:
        yield Import(
            rival=row.label,
            statement=IMPORTS[row.label],
            milliseconds=harness.median(row.milliseconds, 1),
            ratio=harness.median_of_ratios(row.milliseconds, sdk.milliseconds),
            rss=harness.median(row.rss, 1),
            rss_ratio=harness.median_of_ratios(row.rss, sdk.rss),
        )


def _joins(joined: Sequence[harness.Row[Answer]]) -> Iterator[Join]:
    sdk = next((row for row in joined if row.rival.name == SDK), None)
    for row in joined:
        base = sdk or row
        yield Join(
            rival=row.rival.name,
            first_joined=harness.median((answer.arrivals[0].joined for answer in row.answers), 1),
            joined=harness.median(_later(row, "joined"), 1),
            joined_ratio=harness.median_of_ratios(_later(row, "joined"), _later(base, "joined")),
            first_frame=harness.median(_later(row, "first_frame"), 1),
            first_frame_ratio=harness.median_of_ratios(
                _later(row, "first_frame"), _later(base, "first_frame")
            ),
        )


def _later(row: harness.Row[Answer], field: str) -> list[float]:
    """The median of each process, without its first join where there are others."""
    return [
        statistics.median(
            float(getattr(one, field)) for one in (answer.arrivals[1:] or answer.arrivals)
        )
        for answer in row.answers
    ]


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
    plan=Plan(),
    quick=Plan(imports=3, joins=3, repetitions=1),
    run=run,
    tables=(
        harness.Table(
            "imported in a fresh process",
            (
                harness.Column("statement", ""),
                harness.Column("milliseconds", "ms", ".0f"),
                harness.RATIO,
                harness.RSS,
                harness.Column("rss_ratio", "", ".2f", "x"),
            ),
            {"kind": "import"},
        ),
        harness.Table(
            "from the call that connects, in ms (x the bare SDK)",
            (
                harness.RIVAL,
                harness.Column("first_joined", "joined first", ".0f"),
                harness.Column("joined", "joined", ".0f"),
                harness.Column("joined_ratio", "", ".2f", "x"),
                harness.Column("first_frame", "first frame", ".0f"),
                harness.Column("first_frame_ratio", "", ".2f", "x"),
            ),
            {"kind": "join"},
        ),
    ),
    charts=(
        (
            harness.Bars("startup: import, ms", "milliseconds", {"kind": "import"}),
            harness.Bars("startup: connect() to first frame, ms", "first_frame", {"kind": "join"}),
        ),
    ),
)
