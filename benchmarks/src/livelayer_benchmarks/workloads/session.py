"""One session shared by several widgets against a room each; and many sessions in one process."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from importlib import import_module
from typing import Final, Literal, Protocol, cast

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
    rival: str
    count: int
    """Widgets, or sessions."""
    cpu: float
    """widgets: of the process for each frame shown. sessions: for each second and session."""
    ratio: float
    """`cpu` in times of the first rival's with as few as possible."""
    p50: float
    """widgets: sent to read, worst widget. sessions: a join."""
    p95: float
    p99: float
    memory: float
    """Megabytes. widgets: of the process. sessions: added by each session."""
    messages: float
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


class SessionsRival(Protocol):
    """The function of a rival's module; those for widgets are rivals of the area `frames`."""

    def joined(
        self, room: harness.RoomRef, on_message: Callable[[], None], /
    ) -> AbstractAsyncContextManager[None]: ...


async def measure(job: Job, send: harness.Send, ended: asyncio.Event) -> None:
    """Join every room, one after the other; then measure for a while."""
    rival = cast(SessionsRival, import_module(job.rival))
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
    answer = Answer(
        joins=[round(one, 2) for one in joins[1:]],
        cpu=round(1000 * used / took / len(joins), 3),
        memory=round(memory, 3),
        messages=round(came / took / len(joins), 2),
    )
    send(answer)


def run(
    plan: Plan, url: str | None = None, modules: Sequence[str] = ()
) -> harness.Result[Plan, Case]:
    """Measure the ways side by side: each case in a fresh process, repetitions interleaved."""
    rivals, skipped = harness.load_rivals(modules or harness.rivals_of("session"))
    about = harness.environment("real" if url else "embedded", rivals)
    widgets: list[harness.Row[frames.Answer]] = harness.rows(
        [rival for rival in rivals if rival.part == "widgets"], plan.widgets
    )
    many: list[harness.Row[Answer]] = harness.rows(
        [rival for rival in rivals if rival.part == "sessions"], [plan.sessions]
    )
    with harness.server_for(url) as server:
        _measure_widgets(widgets, plan, harness.new_room(server))
        _measure_many(many, plan, server)
    cases = [*_widget_cases(widgets), *_many_cases(many)]
    goals = list(_goals(cases, plan))
    return harness.Result(environment=about, plan=plan, cases=cases, goals=goals, skipped=skipped)


def _measure_widgets(
    widgets: Sequence[harness.Row[frames.Answer]], plan: Plan, room: harness.RoomRef
) -> None:
    watched = frames.Plan(plan.width, plan.height, plan.fps, (), plan.seconds, plan.warm_up)

    def measure_row(row: harness.Row[frames.Answer]) -> None:
        job = frames.Job(row.rival.module, row.readers, watched, room)
        seconds = plan.warm_up + plan.seconds + SPARE_SECONDS
        row.answers.append(harness.ask(frames.measure, job, frames.Answer, seconds))

    with publishing(room, plan.width, plan.height, plan.fps, audio=True):
        harness.run_rounds("session, widgets", widgets, plan.repetitions, measure_row)


def _measure_many(many: Sequence[harness.Row[Answer]], plan: Plan, server: harness.Server) -> None:
    rooms = [harness.new_room(server) for _ in range(plan.sessions)]

    def measure_row(row: harness.Row[Answer]) -> None:
        job = Job(row.rival.module, rooms, plan.seconds)
        row.answers.append(harness.ask(measure, job, Answer, plan.seconds + SPARE_SECONDS))

    with harness.started(echo.echo, echo.Job(rooms, plan.every)) as agent:
        agent.answer(harness.Ready, READY_SECONDS)
        harness.run_rounds("session, many", many, plan.repetitions, measure_row)


def _widget_cases(widgets: Sequence[harness.Row[frames.Answer]]) -> Iterator[Case]:
    base = min(widgets, key=lambda row: (row.rival.name != OURS, row.readers), default=None)
    for row in widgets:
        got = [answer.frames for answer in row.answers]
        cpus = [answer.cpu for answer in row.answers]
        yield Case(
            kind="widgets",
            rival=row.rival.name,
            count=row.readers,
            cpu=harness.median(cpus),
            ratio=harness.median_of_ratios(cpus, [answer.cpu for answer in (base or row).answers]),
            p50=harness.median((one.p50 for one in got), 2),
            p95=harness.median((one.p95 for one in got), 2),
            p99=harness.median((one.p99 for one in got), 2),
            memory=harness.median((answer.rss for answer in row.answers), 1),
            messages=0.0,
        )


def _many_cases(many: Sequence[harness.Row[Answer]]) -> Iterator[Case]:
    base = next((row for row in many if row.rival.name == OURS_MANY), None)
    for row in many:
        joins = sorted(join for answer in row.answers for join in answer.joins)
        cpus = [answer.cpu for answer in row.answers]
        yield Case(
            kind="sessions",
            rival=row.rival.name,
            count=row.readers,
            cpu=harness.median(cpus),
            ratio=harness.median_of_ratios(cpus, [answer.cpu for answer in (base or row).answers]),
            p50=round(harness.percentile(joins, 0.5), 1),
            p95=round(harness.percentile(joins, 0.95), 1),
            p99=round(harness.percentile(joins, 0.99), 1),
            memory=harness.median((answer.memory for answer in row.answers), 2),
            messages=harness.median((answer.messages for answer in row.answers), 2),
        )


def _goals(cases: Sequence[Case], plan: Plan) -> Iterator[harness.Goal]:
    few, many = min(plan.widgets), max(plan.widgets)
    at = {(case.rival, case.count): case for case in cases if case.kind == "widgets"}
    one, shared = at.get((OURS, few)), at.get((OURS, many))
    if one is not None and shared is not None:
        name = f"{many} widgets on one session against {few}, CPU a frame"
        yield harness.at_most(name, 1.1, shared.cpu / one.cpu)


_COLUMNS = (
    harness.RIVAL,
    harness.Column("count", "n"),
    harness.Column("cpu", "CPU", ".2f"),
    harness.RATIO,
    *harness.LATENCY,
    harness.Column("memory", "MB", ".1f"),
    harness.Column("messages", "messages/s", ".1f"),
)
_WIDGETS = {"kind": "widgets"}
_MANY = {"kind": "sessions"}

AREA = harness.Area(
    plan=Plan(),
    quick=Plan(sessions=10, seconds=2.0, warm_up=1.0, repetitions=1),
    run=run,
    tables=(
        harness.Table(
            "widgets with video, audio, events: CPU ms a frame, sent to read in ms",
            _COLUMNS,
            _WIDGETS,
        ),
        harness.Table(
            "sessions with data only: CPU ms a second and MB of each, joins in ms", _COLUMNS, _MANY
        ),
    ),
    charts=(
        (
            harness.Lines("session: CPU, ms a frame", ("cpu",), _WIDGETS, "count", "widgets"),
            harness.Lines(
                "session: p50 and (dashed) p99, ms", ("p50", "p99"), _WIDGETS, "count", "widgets"
            ),
        ),
        (
            harness.Bars("sessions with data only: CPU ms a second", "cpu", _MANY),
            harness.Bars("sessions with data only: a join, p50, ms", "p50", _MANY),
        ),
    ),
)
