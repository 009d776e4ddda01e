"""What the terminal surface costs beside the session that it shows: CPU, and pictures drawn."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any, Final

import msgspec

from .. import harness
from .record import Source

SHOWN: Final = "livelayer-bus, in a terminal"
ALONE: Final = "livelayer-bus, not shown"
SPARE_SECONDS: Final = 120.0  # a case may take over its measured time


class Plan(msgspec.Struct, frozen=True):
    """How much to measure: about a minute and a half."""

    width: int = 1280
    height: int = 720
    columns: int = 80
    """Of the picture, in cells."""
    rows: int = 24
    fps: float = 15.0
    """Pictures a second that the surface is asked for; the agent sends 30."""
    seconds: float = 10.0
    repetitions: int = 3


class Case(msgspec.Struct, frozen=True):
    """One way: medians over the repetitions."""

    rival: harness.Name
    cpu: Annotated[float, harness.Column("CPU", ".1f", unit="%", scale=100)]
    """Of one core."""
    pictures: Annotated[float, harness.Column("pictures/s", ".1f")]
    cells: Annotated[float, harness.Column("cells/picture", ".0f")]
    """Written for each picture; the others did not change."""
    output: Annotated[float, harness.Column("kB/s", ".0f")]
    """What the terminal got."""


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    rival: str
    """A module that `livelayer_benchmarks.rivals.terminal` describes."""
    plan: Plan


class Answer(msgspec.Struct, frozen=True):
    """What it measured, over the seconds in which pictures came."""

    cpu: float
    """Seconds a second."""
    pictures: float
    cells: float
    output: float


async def measure(job: Job) -> Answer:
    """Play the source once, and count."""
    rival: Any = import_module(job.rival)
    plan = job.plan
    answer: Answer = await rival.shown(Source(plan.width, plan.height, plan.seconds), plan)
    return answer


def run(plan: Plan, url: str | None, rivals: list[harness.Rival]) -> harness.Measured:
    """Measure the cases side by side, each in a fresh process, without a server."""
    del url
    rows: list[harness.Row[Answer]] = harness.rows(rivals)

    def measure_row(row: harness.Row[Answer]) -> Answer:
        return harness.ask(measure, Job(row.rival.module, plan), plan.seconds + SPARE_SECONDS)

    harness.run_rounds("terminal", rows, plan.repetitions, measure_row)
    cases = [
        Case(
            row.rival.name,
            row.median("cpu", 4),
            row.median("pictures", 1),
            row.median("cells", 0),
            row.median("output", 0),
        )
        for row in rows
    ]
    return harness.Measured(cases, list(_goals(rows, plan)))


def _goals(rows: list[harness.Row[Answer]], plan: Plan) -> Iterator[harness.Goal]:
    at = {row.rival.name: row.answers for row in rows}
    shown, alone = at.get(SHOWN), at.get(ALONE)
    if shown is None or alone is None:
        return
    added = [one.cpu - bare.cpu for one, bare in zip(shown, alone, strict=True)]
    name = f"{plan.columns} x {plan.rows} cells: CPU beside the session, of a core"
    yield harness.at_most(name, 0.10, harness.median(added, 3))
    drawn = harness.median([one.pictures for one in shown], 1)
    yield harness.at_least(f"pictures a second of {plan.fps:g}", 0.9 * plan.fps, drawn)


AREA = harness.Area(
    name="terminal",
    plan=Plan(),
    quick=Plan(seconds=3.0, repetitions=1),
    run=run,
    tables=(
        harness.Table("720p30 and a voice in 80 x 24 cells, at most 15 pictures a second", Case),
    ),
    charts=((harness.Bars("in a terminal: CPU of a core", Case, "cpu"),),),
)
