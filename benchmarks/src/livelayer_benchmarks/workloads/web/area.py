"""Measures the rivals side by side: a server and its pages, each in a fresh process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

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

    rival: harness.Name
    readers: harness.Readers
    cpu: Annotated[float, harness.Column("CPU", ".2f")]
    """Of the server's process for each frame, 1280 x 720 at 30 a second, with audio."""
    ratio: harness.Ratio
    """`cpu` in times of the same rival's with the fewest pages."""
    p50: harness.Milliseconds
    """From painted to decoded by the first page; aiortc waits for the next frame's packets."""
    p95: harness.Milliseconds
    p99: harness.Milliseconds
    frames: Annotated[float, harness.Column(form=".1f")]
    """Frames a second that the worst-off page got."""
    rss: harness.Megabytes
    """Of the server."""


class Answer(NamedTuple):
    """What both processes measured."""

    server: server.Answer
    pages: pages.Answer


def run(plan: Plan, _url: str | None, rivals: list[harness.Rival]) -> harness.Measured:
    """Measure the rivals side by side, repetitions interleaved."""
    measured: list[harness.Row[Answer]] = harness.rows(rivals, plan.readers)
    harness.run_rounds("web", measured, plan.repetitions, lambda row: _measure(row, plan))
    cases = list(_cases(measured))
    return harness.Measured(cases, list(_goals(cases, plan)))


def _measure(row: harness.Row[Answer], plan: Plan) -> Answer:
    seconds = plan.warm_up + plan.seconds + SPARE_SECONDS
    serving = server.Job(row.rival.module, row.readers, plan.warm_up, plan.seconds)
    with harness.started(server.serve, serving) as serve:
        port = serve.answer(server.Listening, SPARE_SECONDS).port
        viewing = msgspec.structs.replace(serving, port=port)
        with harness.started(pages.view, viewing) as view:
            view.answer(harness.Ready, SPARE_SECONDS)
            served = serve.answer(server.Answer, seconds)
            return Answer(served, view.answer(pages.Answer, seconds))


def _cases(measured: Sequence[harness.Row[Answer]]) -> Iterator[Case]:
    for row in measured:
        delays = sorted(delay for answer in row.answers for delay in answer.pages.delays_ms)
        yield Case(
            rival=row.rival.name,
            readers=row.readers,
            cpu=row.median("server.cpu", 2),
            ratio=row.ratio("server.cpu", harness.fewest(measured, row.rival.name)),
            **harness.spread(delays, 1),
            frames=round(min(row.values("pages.frames")), 1),
            rss=row.median("server.rss", 1),
        )


def _goals(cases: Sequence[Case], plan: Plan) -> Iterator[harness.Goal]:
    many = max(plan.readers)
    for case in cases:
        if case.rival == OURS and case.readers == many and many > min(plan.readers):
            name = f"{many} pages against {min(plan.readers)}, server CPU a frame"
            yield harness.at_most(name, 1.2, case.ratio)


AREA = harness.Area(
    name="web",
    plan=Plan(),
    quick=Plan(seconds=2.0, warm_up=1.0, repetitions=1),
    run=run,
    tables=(
        harness.Table(
            "pages: server CPU ms a frame (x the same with the fewest), painted to decoded in ms",
            Case,
        ),
    ),
    charts=(harness.cost_and_latency("web", Case, x_title="pages"),),
    server="none",
)
