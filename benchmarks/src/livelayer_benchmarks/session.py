"""One session shared by several widgets against a room each; and many sessions in one process."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Literal, TypeAlias

import msgspec

from . import echo_agent, frames_worker, publisher, session_worker
from .child import Ready
from .entries import enter, packages
from .places import Place, Server, new_room, server_for
from .processes import started
from .progress import Step, steps
from .records import Goal, Result, at_most, median_of_ratios, percentile, surroundings
from .rounds import Row, rounds, rows, take

_PACKAGE = "livelayer_benchmarks.rivals.session"
WIDGETS = (f"{_PACKAGE}.widget_surfaces", f"{_PACKAGE}.widget_rooms")
MANY = (f"{_PACKAGE}.many_sessions", f"{_PACKAGE}.many_rooms")
OURS = "livelayer-bus, one session"
OURS_MANY = "livelayer-bus"

READY_SECONDS = 120.0  # for an agent to be in every room
SPARE_SECONDS = 120.0  # a case may take over its measured time


class Plan(msgspec.Struct, frozen=True):
    """How much to measure."""

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
    seed: int = 20261


class Case(msgspec.Struct, frozen=True):
    """One way: medians over the repetitions, times in milliseconds."""

    kind: Literal["widgets", "sessions"]
    rival: str
    count: int
    """Widgets, or sessions."""
    cpu: float
    """widgets: of the process for each picture shown. sessions: for each second and session."""
    ratio: float
    """`cpu` in times of the first rival's with as few as possible."""
    p50: float
    """widgets: sent to read, worst widget. sessions: a join."""
    p95: float
    p99: float
    memory: float
    """Megabytes. widgets: of the process. sessions: added by each session."""
    heard: float
    """sessions: data messages for each second and session."""


class SessionBenchmark(Result[Plan, Case], frozen=True, kw_only=True):
    """The result of one run."""


_Widgets: TypeAlias = Row[frames_worker.Answer]
_Many: TypeAlias = Row[session_worker.Answer]


def run_session_benchmark(
    plan: Plan | None = None,
    widgets: Iterable[str] = WIDGETS,
    many: Iterable[str] = MANY,
    url: str | None = None,
) -> SessionBenchmark:
    """Measure the ways side by side: each case in a fresh process, repetitions interleaved.

    Args:
        plan: how much to measure; by default about three minutes.
        widgets: modules that feed several widgets; see `livelayer_benchmarks.rivals.session`.
        many: modules that hold many sessions.
        url: a real server; an embedded one if None.

    Raises:
        BrokenError: a process failed.
        ConfigError: `url` without LIVEKIT_API_KEY and LIVEKIT_API_SECRET.
    """
    plan = plan or Plan()
    widget_entries, skipped = enter(widgets)
    many_entries, more_skipped = enter(many)
    shown: list[_Widgets] = rows(widget_entries, plan.widgets)
    held: list[_Many] = rows(many_entries, [1])
    with ExitStack() as stack:
        total = plan.repetitions * (len(shown) + len(held))
        step = stack.enter_context(steps("session", total))
        server = stack.enter_context(server_for(url))
        _measure_widgets(shown, plan, new_room(server), step)
        _measure_many(held, plan, server, step)
    cases = [*_widget_cases(shown), *_many_cases(held, plan)]
    made_of = packages([*widget_entries, *many_entries])
    return SessionBenchmark(
        surroundings=surroundings("real" if url else "embedded", made_of),
        plan=plan,
        cases=cases,
        goals=list(_goals(cases, plan)),
        skipped=skipped | more_skipped,
    )


def _measure_widgets(shown: Sequence[_Widgets], plan: Plan, place: Place, step: Step) -> None:
    seconds = plan.warm_up + plan.seconds + SPARE_SECONDS
    sending = publisher.Job(place, plan.width, plan.height, plan.fps, audio=True)
    with started("livelayer_benchmarks.publisher", sending) as sender:
        sender.answer(Ready, READY_SECONDS)
        for row in rounds(shown, plan.repetitions, plan.seed):
            step(f"{row.readers} widgets: {row.entry.name}")
            job = frames_worker.Job(
                row.entry.module,
                row.readers,
                plan.width,
                plan.height,
                plan.fps,
                plan.warm_up,
                plan.seconds,
                place,
            )
            take(row, "livelayer_benchmarks.frames_worker", job, frames_worker.Outcome, seconds)


def _measure_many(held: Sequence[_Many], plan: Plan, server: Server, step: Step) -> None:
    places = [new_room(server) for _ in range(plan.sessions)]
    agents = echo_agent.Job(places, plan.every)
    with started("livelayer_benchmarks.echo_agent", agents) as agent:
        agent.answer(Ready, READY_SECONDS)
        for row in rounds(held, plan.repetitions, plan.seed):
            step(f"{plan.sessions} sessions: {row.entry.name}")
            job = session_worker.Job(row.entry.module, places, plan.seconds)
            seconds = plan.seconds + SPARE_SECONDS
            take(row, "livelayer_benchmarks.session_worker", job, session_worker.Outcome, seconds)


def _widget_cases(shown: Sequence[_Widgets]) -> Iterator[Case]:
    base = min(shown, key=lambda row: (row.entry.name != OURS, row.readers), default=None)
    for row in shown:
        seen = [answer.seen for answer in row.answers]
        cpus = [answer.cpu for answer in row.answers]
        yield Case(
            kind="widgets",
            rival=row.entry.name,
            count=row.readers,
            cpu=round(statistics.median(cpus), 3),
            ratio=median_of_ratios(cpus, [answer.cpu for answer in (base or row).answers]),
            p50=round(statistics.median(one.p50 for one in seen), 2),
            p95=round(statistics.median(one.p95 for one in seen), 2),
            p99=round(statistics.median(one.p99 for one in seen), 2),
            memory=round(statistics.median(answer.rss for answer in row.answers), 1),
            heard=0.0,
        )


def _many_cases(held: Sequence[_Many], plan: Plan) -> Iterator[Case]:
    base = next((row for row in held if row.entry.name == OURS_MANY), None)
    for row in held:
        joins = sorted(join for answer in row.answers for join in answer.joins)
        cpus = [answer.cpu for answer in row.answers]
        yield Case(
            kind="sessions",
            rival=row.entry.name,
            count=plan.sessions,
            cpu=round(statistics.median(cpus), 3),
            ratio=median_of_ratios(cpus, [answer.cpu for answer in (base or row).answers]),
            p50=round(percentile(joins, 0.5), 1),
            p95=round(percentile(joins, 0.95), 1),
            p99=round(percentile(joins, 0.99), 1),
            memory=round(statistics.median(answer.memory for answer in row.answers), 2),
            heard=round(statistics.median(answer.heard for answer in row.answers), 2),
        )


def _goals(cases: Sequence[Case], plan: Plan) -> Iterator[Goal]:
    few, many = min(plan.widgets), max(plan.widgets)
    at = {(case.rival, case.count): case for case in cases if case.kind == "widgets"}
    one, shared = at.get((OURS, few)), at.get((OURS, many))
    if one is not None and shared is not None:
        name = f"{many} widgets on one session against {few}, CPU a frame"
        yield at_most(name, 1.1, shared.cpu / one.cpu)
