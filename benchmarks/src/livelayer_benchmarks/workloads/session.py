"""One session shared by several widgets against a room each; and many sessions in one process."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from importlib import import_module
from typing import Annotated, Any, Final, Literal

import msgspec

from .. import harness
from ..signals import echo
from ..signals.publisher import publishing
from . import frames

OURS: Final = "livelayer-bus, one session"
OURS_MANY: Final = "livelayer-bus"
READY_SECONDS: Final = 120.0  # for an agent to be in every room
SPARE_SECONDS: Final = 120.0  # a case may take over its measured time
JOIN_SECONDS: Final = 20.0  # for one room
SETTLE_SECONDS: Final = 1.0  # from the last join until counting begins


class Plan(msgspec.Struct, frozen=True):
    """How much to measure: about three minutes."""

    widgets: tuple[int, ...] = (1, 4)
    width: int = 1280
    """A multiple of 32."""
    height: int = 720
    fps: int = 30
    sessions: int = 50
    """In one process, with data only."""
    every: float = 0.2
    """Seconds from one data message to the next in each of these sessions."""
    seconds: float = 4.0
    warm_up: float = 1.5
    repetitions: int = 2


class Case(msgspec.Struct, frozen=True):
    """One way: medians over the repetitions, times in milliseconds."""

    kind: Literal["widgets", "sessions"]
    rival: harness.Name
    count: harness.Readers
    """Widgets, or sessions."""
    cpu: Annotated[float, harness.Column("CPU", ".2f")]
    """widgets: of the process for each frame shown. sessions: for each second and session."""
    ratio: harness.Ratio
    """`cpu` in times of the first rival's with as few as possible."""
    p50: harness.Milliseconds
    """widgets: sent to read, worst widget. sessions: a join."""
    p95: harness.Milliseconds
    p99: harness.Milliseconds
    memory: Annotated[float, harness.Column("MB", ".1f")]
    """Megabytes. widgets: of the process. sessions: added by each session."""
    messages: Annotated[float, harness.Column("messages/s", ".1f")]
    """sessions: data messages for each second and session."""


class Job(msgspec.Struct, frozen=True):
    """What one process with many sessions measures."""

    rival: str
    """A module that `livelayer_benchmarks.rivals.session` describes."""
    rooms: list[harness.RoomRef]
    """One for each session; the first one pays for what a process has once."""
    seconds: float


class Answer(msgspec.Struct, frozen=True):
    """What that process measured."""

    joins: list[float]
    """Milliseconds of each join but the first."""
    cpu: float
    """Milliseconds for each second and session."""
    memory: float
    """Megabytes that each session but the first added."""
    messages: float
    """Data messages for each second and session."""


async def measure(job: Job) -> Answer:
    """Join every room, one after the other; then measure for a while."""
    rival: Any = import_module(job.rival)
    count = 0

    def on_message() -> None:
        nonlocal count
        count += 1

    joins: list[float] = []
    memory = 0.0
    async with AsyncExitStack() as stack:
        for room in job.rooms:
            began = time.perf_counter_ns()
            async with asyncio.timeout(JOIN_SECONDS):
                await stack.enter_async_context(rival.joined(room, on_message))
            joins.append((time.perf_counter_ns() - began) / 1e6)
            if len(joins) == 1:
                await asyncio.sleep(SETTLE_SECONDS)
                gc.collect()
                memory = harness.resident_mb()
        await asyncio.sleep(SETTLE_SECONDS)
        gc.collect()
        memory = (harness.resident_mb() - memory) / max(1, len(joins) - 1)
        count, used, began_at = 0, harness.cpu_seconds(), time.monotonic()
        await asyncio.sleep(job.seconds)
        took = time.monotonic() - began_at
        used, came = harness.cpu_seconds() - used, count
    return Answer(
        joins=[round(one, 2) for one in joins[1:]],
        cpu=round(1000 * used / took / len(joins), 3),
        memory=round(memory, 3),
        messages=round(came / took / len(joins), 2),
    )


def run(plan: Plan, url: str | None, rivals: list[harness.Rival]) -> harness.Measured:
    """Measure the ways side by side: each case in a fresh process, repetitions interleaved."""
    for_widgets = (rival for rival in rivals if rival.part == "widgets")
    for_sessions = (rival for rival in rivals if rival.part == "sessions")
    widgets: list[harness.Row[frames.Answer]] = harness.rows(for_widgets, plan.widgets)
    many: list[harness.Row[Answer]] = harness.rows(for_sessions, [plan.sessions])
    with harness.server_for(url) as server:
        _measure_widgets(widgets, plan, harness.new_room(server))
        _measure_many(many, plan, server)
    cases = [*_widget_cases(widgets), *_many_cases(many)]
    return harness.Measured(cases, list(_goals(cases, plan)))


def _measure_widgets(
    widgets: Sequence[harness.Row[frames.Answer]], plan: Plan, room: harness.RoomRef
) -> None:
    watched = frames.Plan(plan.width, plan.height, plan.fps, (), plan.seconds, plan.warm_up)

    def measure_row(row: harness.Row[frames.Answer]) -> frames.Answer:
        job = frames.Job(row.rival.module, (row.readers,), watched, room)
        seconds = plan.warm_up + plan.seconds + SPARE_SECONDS
        return harness.ask(frames.measure, job, seconds)[0]

    with publishing(room, plan.width, plan.height, plan.fps, audio=True):
        harness.run_rounds("session, widgets", widgets, plan.repetitions, measure_row)


def _measure_many(many: Sequence[harness.Row[Answer]], plan: Plan, server: harness.Server) -> None:
    rooms = [harness.new_room(server) for _ in range(plan.sessions)]

    def measure_row(row: harness.Row[Answer]) -> Answer:
        job = Job(row.rival.module, rooms, plan.seconds)
        return harness.ask(measure, job, plan.seconds + SPARE_SECONDS)

    with harness.started(echo.echo, echo.Job(rooms, plan.every)) as agent:
        agent.answer(harness.Ready, READY_SECONDS)
        harness.run_rounds("session, many", many, plan.repetitions, measure_row)


def _widget_cases(widgets: Sequence[harness.Row[frames.Answer]]) -> Iterator[Case]:
    for row in widgets:
        yield Case(
            kind="widgets",
            rival=row.rival.name,
            count=row.readers,
            cpu=row.median("cpu"),
            ratio=row.ratio("cpu", harness.fewest(widgets, OURS)),
            p50=row.median("frames.p50", 2),
            p95=row.median("frames.p95", 2),
            p99=row.median("frames.p99", 2),
            memory=row.median("rss", 1),
            messages=0.0,
        )


def _many_cases(many: Sequence[harness.Row[Answer]]) -> Iterator[Case]:
    for row in many:
        joins = sorted(join for answer in row.answers for join in answer.joins)
        yield Case(
            kind="sessions",
            rival=row.rival.name,
            count=row.readers,
            cpu=row.median("cpu"),
            ratio=row.ratio("cpu", harness.fewest(many, OURS_MANY)),
            **harness.spread(joins, 1),
            memory=row.median("memory", 2),
            messages=row.median("messages", 2),
        )


def _goals(cases: Sequence[Case], plan: Plan) -> Iterator[harness.Goal]:
    few, many = min(plan.widgets), max(plan.widgets)
    at = {(case.rival, case.count): case for case in cases if case.kind == "widgets"}
    one, shared = at.get((OURS, few)), at.get((OURS, many))
    if one is not None and shared is not None:
        name = f"{many} widgets on one session against {few}, CPU a frame"
        yield harness.at_most(name, 1.1, shared.cpu / one.cpu)


_WIDGETS = {"kind": "widgets"}
_MANY = {"kind": "sessions"}

AREA = harness.Area(
    name="session",
    plan=Plan(),
    quick=Plan(sessions=10, seconds=2.0, warm_up=1.0, repetitions=1),
    run=run,
    tables=(
        harness.Table(
            "widgets with video, audio, events: CPU ms a frame, sent to read in ms", Case, _WIDGETS
        ),
        harness.Table(
            "sessions with data only: CPU ms a second and MB of each, joins in ms", Case, _MANY
        ),
    ),
    charts=(
        harness.cost_and_latency("session", Case, where=_WIDGETS, x="count", x_title="widgets"),
        (
            harness.Bars("sessions with data only: CPU ms a second", Case, "cpu", _MANY),
            harness.Bars("sessions with data only: a join, p50, ms", Case, "p50", _MANY),
        ),
    ),
)
