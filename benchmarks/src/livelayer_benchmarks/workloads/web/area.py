"""Measures the rivals side by side: a server and its pages, each in a fresh process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from ... import harness
from . import pages, server

OURS = "livelayer-bus"
SPARE_SECONDS = 60.0  # a case may take over its measured time


class Plan(msgspec.Struct, frozen=True):
    """How much to measure: about two minutes."""

    readers: tuple[int, ...] = (1, 4)
    seconds: float = 4.0
    warm_up: float = 1.5
    repetitions: int = 3


class Case(msgspec.Struct, frozen=True):
    """One way with one number of pages: medians over the repetitions, times in milliseconds."""

    rival: str
    readers: int
    cpu: float
    """Of the server's process for each frame, 1280 x 720 at 30 a second, with audio."""
    ratio: float
    """`cpu` in times of the same rival's with the fewest pages."""
    p50: float
    """From painted to decoded by the first page; aiortc waits for the next frame's packets."""
    p95: float
    p99: float
    frames: float
    """Frames a second that the worst-off page got."""
    rss: float
    """Megabytes of the server."""


class Answer(NamedTuple):
    """What both processes measured."""

    server: server.Answer
    pages: pages.Answer


def run(
    plan: Plan, url: str | None = None, modules: Sequence[str] = ()
) -> harness.Result[Plan, Case]:
    """Measure the rivals side by side, repetitions interleaved."""
    rivals, skipped = harness.load_rivals(modules or harness.rivals_of("web"))
    about = harness.environment("none", rivals)
    measured: list[harness.Row[Answer]] = harness.rows(rivals, plan.readers)
    harness.run_rounds("web", measured, plan.repetitions, lambda row: _measure(row, plan))
    cases = list(_cases(measured))
    goals = list(_goals(cases, plan))
    return harness.Result(environment=about, plan=plan, cases=cases, goals=goals, skipped=skipped)


def _measure(row: harness.Row[Answer], plan: Plan) -> None:
    seconds = plan.warm_up + plan.seconds + SPARE_SECONDS
    serving = server.Job(row.rival.module, row.readers, plan.warm_up, plan.seconds)
    with harness.started(server.serve, serving) as serve:
        port = serve.answer(server.Listening, SPARE_SECONDS).port
        viewing = pages.Job(port, row.readers, plan.warm_up, plan.seconds)
        with harness.started(pages.view, viewing) as view:
            view.answer(harness.Ready, SPARE_SECONDS)
            served = serve.answer(server.Answer, seconds)
            row.answers.append(Answer(served, view.answer(pages.Answer, seconds)))


def _cases(measured: Sequence[harness.Row[Answer]]) -> Iterator[Case]:
    for row in measured:
        base = min((one for one in measured if one.rival == row.rival), key=lambda one: one.readers)
        cpus = [answer.server.cpu for answer in row.answers]
        delays = sorted(delay for answer in row.answers for delay in answer.pages.delays_ms)
        yield Case(
            rival=row.rival.name,
            readers=row.readers,
            cpu=harness.median(cpus, 2),
            ratio=harness.median_of_ratios(cpus, [answer.server.cpu for answer in base.answers]),
            p50=round(harness.percentile(delays, 0.5), 1),
            p95=round(harness.percentile(delays, 0.95), 1),
            p99=round(harness.percentile(delays, 0.99), 1),
            frames=round(min(answer.pages.frames for answer in row.answers), 1),
            rss=harness.median((answer.server.rss for answer in row.answers), 1),
        )


def _goals(cases: Sequence[Case], plan: Plan) -> Iterator[harness.Goal]:
    many = max(plan.readers)
    for case in cases:
        if case.rival == OURS and case.readers == many and many > min(plan.readers):
            name = f"{many} pages against {min(plan.readers)}, server CPU a frame"
            yield harness.at_most(name, 1.2, case.ratio)


_COLUMNS = (
    harness.RIVAL,
    harness.READERS,
    harness.Column("cpu", "CPU", ".2f"),
    harness.RATIO,
    *harness.LATENCY,
    harness.Column("frames", "frames", ".1f"),
    harness.RSS,
)

AREA = harness.Area(
    plan=Plan(),
    quick=Plan(seconds=2.0, warm_up=1.0, repetitions=1),
    run=run,
    tables=(
        harness.Table(
            "pages: server CPU ms a frame (x the same with the fewest), painted to decoded in ms",
            _COLUMNS,
        ),
    ),
    charts=(
        (
            harness.Lines("web: CPU, ms a frame", ("cpu",), x_title="pages"),
            harness.Lines("web: p50 and (dashed) p99, ms", ("p50", "p99"), x_title="pages"),
        ),
    ),
    server="none",
)
