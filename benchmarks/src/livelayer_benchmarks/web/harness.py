"""Measures the rivals side by side: each case in fresh processes, repetitions interleaved."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from livelayer_bus.errors import BrokenError

from ..child import Missing, Ready
from ..entries import Entry, enter, packages
from ..processes import started
from ..progress import Step, steps
from ..records import Goal, Result, at_most, median_of_ratios, percentile, surroundings
from ..rounds import rounds
from . import serving, viewing

RIVALS = tuple(
    f"livelayer_benchmarks.rivals.web.{name}" for name in ("livelayer_web", "aiortc_each")
)
OURS = "livelayer-bus"
SPARE_SECONDS = 60.0  # a case may take over its measured time


class Plan(msgspec.Struct, frozen=True):
    """How much to measure."""

    readers: tuple[int, ...] = (1, 4)
    seconds: float = 4.0
    warm_up: float = 1.5
    repetitions: int = 3
    seed: int = 20261


class Case(msgspec.Struct, frozen=True):
    """One way with one number of pages: medians over the repetitions, times in milliseconds."""

    rival: str
    readers: int
    cpu: float
    """Of the server's process for each picture, 1280 x 720 at 30 a second, with sound."""
    ratio: float
    """`cpu` in times of the same rival's with the fewest pages."""
    p50: float
    """From painted to decoded by the first page; aiortc waits for the next picture's packets."""
    p95: float
    p99: float
    frames: float
    """Pictures a second that the worst-off page got."""
    rss: float
    """Megabytes of the server."""


class WebBenchmark(Result[Plan, Case], frozen=True, kw_only=True):
    """The result of one run."""


class _Taken(msgspec.Struct):
    entry: Entry
    readers: int
    served: list[serving.Answer]
    seen: list[viewing.Answer]


def run_web_benchmark(plan: Plan | None = None, rivals: Iterable[str] = RIVALS) -> WebBenchmark:
    """Measure everything that is installed.

    Args:
        plan: how much to measure; by default about two minutes.
        rivals: modules with the names that `livelayer_benchmarks.rivals.web` describes.

    Raises:
        BrokenError: a process failed, or has not what its rival needs.
    """
    plan = plan or Plan()
    entries, skipped = enter(rivals)
    about = surroundings("none", packages(entries))
    taken = [_Taken(entry, count, [], []) for entry in entries for count in plan.readers]
    with steps("web", plan.repetitions * len(taken)) as step:
        for row in rounds(taken, plan.repetitions, plan.seed):
            _take(row, plan, step)
    cases = list(_cases(taken))
    return WebBenchmark(
        surroundings=about,
        plan=plan,
        cases=cases,
        goals=list(_goals(cases, plan)),
        skipped=skipped,
    )


def _take(row: _Taken, plan: Plan, step: Step) -> None:
    step(f"{row.entry.name}, {row.readers}")
    seconds = plan.warm_up + plan.seconds + SPARE_SECONDS
    job = serving.Job(row.entry.module, row.readers, plan.warm_up, plan.seconds)
    with started("livelayer_benchmarks.web.serving", job) as server:
        there: serving.Outcome = server.answer(serving.Outcome, SPARE_SECONDS)
        if not isinstance(there, serving.Listening):
            reason = there.reason if isinstance(there, Missing) else "it answered too early"
            raise BrokenError(f"{row.entry.name} cannot be measured: {reason}", retryable=False)
        watch = viewing.Job(there.port, row.readers, plan.warm_up, plan.seconds)
        with started("livelayer_benchmarks.web.viewing", watch) as pages:
            pages.answer(Ready, SPARE_SECONDS)
            row.served.append(server.answer(serving.Answer, seconds))
            row.seen.append(pages.answer(viewing.Answer, seconds))


def _cases(taken: Sequence[_Taken]) -> Iterator[Case]:
    for row in taken:
        base = min((one for one in taken if one.entry == row.entry), key=lambda one: one.readers)
        cpus = [answer.cpu for answer in row.served]
        delays = sorted(delay for answer in row.seen for delay in answer.delays_ms)
        yield Case(
            rival=row.entry.name,
            readers=row.readers,
            cpu=round(statistics.median(cpus), 2),
            ratio=median_of_ratios(cpus, [answer.cpu for answer in base.served]),
            p50=round(percentile(delays, 0.5), 1),
            p95=round(percentile(delays, 0.95), 1),
            p99=round(percentile(delays, 0.99), 1),
            frames=round(min(answer.frames for answer in row.seen), 1),
            rss=round(statistics.median(answer.rss for answer in row.served), 1),
        )


def _goals(cases: Sequence[Case], plan: Plan) -> Iterator[Goal]:
    many = max(plan.readers)
    for case in cases:
        if case.rival == OURS and case.readers == many and many > min(plan.readers):
            name = f"{many} pages against {min(plan.readers)}, server CPU a picture"
            yield at_most(name, 1.2, case.ratio)
