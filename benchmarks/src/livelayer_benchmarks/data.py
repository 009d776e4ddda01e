"""Data messages beside the bare SDK's: round trips to an agent that echoes, and throughput."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack

import msgspec

from . import echo_agent
from .child import Ready
from .data_worker import Answer, Job, Outcome
from .entries import enter, packages
from .places import Place, new_room, server_for
from .processes import started
from .progress import Step, steps
from .records import Goal, Result, at_most, percentile, surroundings
from .rounds import Row, rounds, rows, take

_PACKAGE = "livelayer_benchmarks.rivals.data"
INSTALLED_RIVALS = (f"{_PACKAGE}.shared_session", f"{_PACKAGE}.sdk_packets")
OURS = "livelayer-bus"
SDK = "bare SDK"
WORKER = "livelayer_benchmarks.data_worker"

READY_SECONDS = 30.0  # for the agent's process to begin
CASE_SECONDS = 120.0  # a case takes at most


class Plan(msgspec.Struct, frozen=True):
    """How much to measure."""

    readers: tuple[int, ...] = (1, 16)
    round_trips: int = 300
    warm_up: int = 50
    burst: int = 1000
    size: int = 200
    """Characters of text in a message."""
    repetitions: int = 3
    seed: int = 20261


class Case(msgspec.Struct, frozen=True):
    """One way with one number of readers, over all repetitions, times in milliseconds."""

    rival: str
    readers: int
    p50: float
    """From before sending to the last reader of the agent's answer."""
    ratio: float
    """`p50` in times of the bare SDK's with as many readers; median of the repetitions."""
    p95: float
    p99: float
    sent_a_second: float
    """Messages taken by the transport, one after the other."""
    echoed_a_second: float
    """Messages that came back."""
    lost: int
    cpu: float
    """Milliseconds of the process for a message there and back."""


class DataBenchmark(Result[Plan, Case], frozen=True, kw_only=True):
    """The result of one run."""


def run_data_benchmark(
    plan: Plan | None = None,
    rivals: Iterable[str] = INSTALLED_RIVALS,
    url: str | None = None,
) -> DataBenchmark:
    """Measure the rivals side by side: each case in a fresh process, repetitions interleaved.

    Args:
        plan: how much to measure; by default about a minute.
        rivals: modules with the names that `livelayer_benchmarks.rivals.data` describes.
        url: a real server; an embedded one if None.

    Raises:
        BrokenError: a process failed.
        ConfigError: `url` without LIVEKIT_API_KEY and LIVEKIT_API_SECRET.
    """
    plan = plan or Plan()
    entries, skipped = enter(rivals)
    taken: list[Row[Answer]] = rows(entries, plan.readers)
    with ExitStack() as stack:
        step = stack.enter_context(steps("data", plan.repetitions * len(taken)))
        place = new_room(stack.enter_context(server_for(url)))
        agent = stack.enter_context(
            started("livelayer_benchmarks.echo_agent", echo_agent.Job([place]))
        )
        agent.answer(Ready, READY_SECONDS)
        for row in rounds(taken, plan.repetitions, plan.seed):
            _take(row, plan, place, step)
    cases = list(_cases(taken))
    return DataBenchmark(
        surroundings=surroundings("real" if url else "embedded", packages(entries)),
        plan=plan,
        cases=cases,
        goals=list(_goals(cases)),
        skipped=skipped,
    )


def _take(row: Row[Answer], plan: Plan, place: Place, step: Step) -> None:
    step(f"{row.entry.name}, {row.readers}")
    job = Job(
        row.entry.module, place, row.readers, plan.warm_up, plan.round_trips, plan.burst, plan.size
    )
    take(row, WORKER, job, Outcome, CASE_SECONDS)


def _p50s(row: Row[Answer]) -> list[float]:
    return [statistics.median(answer.round_trips) for answer in row.answers]


def _cases(taken: Sequence[Row[Answer]]) -> Iterator[Case]:
    sdk = {row.readers: row for row in taken if row.entry.name == SDK}
    for row in taken:
        trips = sorted(trip for answer in row.answers for trip in answer.round_trips)
        base = sdk.get(row.readers, row)
        ratios = [own / other for own, other in zip(_p50s(row), _p50s(base), strict=True)]
        yield Case(
            rival=row.entry.name,
            readers=row.readers,
            p50=round(percentile(trips, 0.5), 3),
            ratio=round(statistics.median(ratios), 3),
            p95=round(percentile(trips, 0.95), 3),
            p99=round(percentile(trips, 0.99), 3),
            sent_a_second=round(statistics.median(one.sent_a_second for one in row.answers)),
            echoed_a_second=round(statistics.median(one.echoed_a_second for one in row.answers)),
            lost=sum(answer.lost for answer in row.answers),
            cpu=round(statistics.median(answer.cpu for answer in row.answers), 3),
        )


def _goals(cases: Sequence[Case]) -> Iterator[Goal]:
    ours = [case for case in cases if case.rival == OURS]
    if ours:
        yield at_most("messages lost", 0, sum(case.lost for case in ours), "")
