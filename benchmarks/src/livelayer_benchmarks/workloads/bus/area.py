"""The event bus against its alternatives: throughput and wake-ups, as ratios within one run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from typing import Annotated, Literal

import msgspec

from ... import harness
from . import worker
from .worker import Answer, Hire, Job

BASE = "asyncio.Queue"
WAKE_BASE = "bare future"
JOB_SECONDS = 60  # for one job of one rival; a usual one takes less than a second
OURS = "livelayer-bus, by item"
OURS_BATCHES = "livelayer-bus, batches"


class Plan(msgspec.Struct, frozen=True):
    """How much to measure: about a minute."""

    readers: tuple[int, ...] = (1, 16, 256)
    deliveries: int = 160_000
    """Events times readers in one measurement."""
    burst: int = 1024
    """Events published before the readers run."""
    small_burst: int = 64
    """The same once more: the fewer events a wake-up delivers, the less there is to gain."""
    wake_turns: int = 3_000
    repetitions: int = 5
    seed: int = 20261


class Case(msgspec.Struct, frozen=True):
    """One rival in one situation: medians over the repetitions."""

    kind: Literal["fan_out", "fan_out_text", "wake"]
    rival: harness.Name
    delivers_to: Annotated[str, harness.Column("to a")]
    readers: int
    burst: int
    nanoseconds: Annotated[float, harness.Column("ns", ",.0f")]
    """fan_out: CPU time of a delivery. wake: the median time from before publish to the reader."""
    ratio: Annotated[float, harness.Column("ratio", ".3g", "x")]
    """fan_out: how many times as fast as asyncio.Queue. wake: how many bare futures long."""
    lowest_ratio: Annotated[float, harness.Column("lowest", ".3g", "x")]
    highest_ratio: Annotated[float, harness.Column("highest", ".3g", "x")]


def run(plan: Plan, _url: str | None, rivals: list[harness.Rival]) -> harness.Measured:
    """Measure the rivals side by side: each in a process, repetitions interleaved."""
    with ExitStack() as stack:
        processes = {
            rival: stack.enter_context(harness.started(worker.main, Hire(rival.module)))
            for rival in rivals
        }
        cases = [case for job in _jobs(plan) for case in _measure(job, plan, processes)]
    return harness.Measured(cases, list(_goals(cases, plan)))


def _jobs(plan: Plan) -> Iterator[Job]:
    plain = Job("fan_out", plan.seed, deliveries=plan.deliveries, burst=plan.burst)
    middle = plan.readers[len(plan.readers) // 2]
    for readers in plan.readers:
        yield msgspec.structs.replace(plain, readers=readers)
    yield msgspec.structs.replace(plain, readers=middle, burst=plan.small_burst)
    yield msgspec.structs.replace(plain, readers=middle, text=True)
    yield Job("wake", plan.seed, turns=plan.wake_turns)


def _measure(
    job: Job, plan: Plan, processes: dict[harness.Rival, harness.Process]
) -> Iterator[Case]:
    """One job on every rival that can do it, in a new order each repetition."""
    measured: list[harness.Row[Answer]] = harness.rows(
        rival
        for rival in processes
        if job.kind in getattr(import_module(rival.module), "KINDS", ("fan_out",))
    )
    for row in harness.rounds(measured, plan.repetitions, plan.seed):
        process = processes[row.rival]
        process.ask(job)
        row.answers.append(process.answer(Answer, JOB_SECONDS))
    base = WAKE_BASE if job.kind == "wake" else BASE
    theirs = next(row for row in measured if row.rival.name == base).values("nanoseconds")
    for row in measured:
        pairs = zip(row.values("nanoseconds"), theirs, strict=True)
        ratios = [own / other if job.kind == "wake" else other / own for own, other in pairs]
        yield Case(
            kind="fan_out_text" if job.text else job.kind,
            rival=row.rival.name,
            delivers_to=row.rival.part,
            readers=job.readers,
            burst=job.burst,
            nanoseconds=row.median("nanoseconds", 1),
            ratio=harness.median(ratios, 4),
            lowest_ratio=round(min(ratios), 4),
            highest_ratio=round(max(ratios), 4),
        )


def _goals(cases: list[Case], plan: Plan) -> Iterator[harness.Goal]:
    """Compare the medians at 16 readers, and of the wake-up, with the design's goals."""
    at_16 = {
        (case.burst, case.rival): case
        for case in cases
        if case.kind == "fan_out" and case.readers == 16
    }
    item = at_16.get((plan.burst, OURS))
    if item is not None:
        peers = [
            case.ratio
            for (burst, rival), case in at_16.items()
            if burst == plan.burst
            and case.delivers_to == "task"
            and rival not in (OURS, OURS_BATCHES)
        ]
        name = f"16 readers, bursts of {plan.burst}, by item"
        yield harness.at_least(f"{name}, against asyncio.Queue", 2, item.ratio)
        yield harness.at_least(
            f"{name}, against the fastest peer with a task", 1, item.ratio / max(peers)
        )
    for burst, limit in ((plan.small_burst, 8), (plan.burst, 10)):
        case = at_16.get((burst, OURS_BATCHES))
        if case is not None:
            name = f"16 readers, bursts of {burst}, batches, against asyncio.Queue"
            yield harness.at_least(name, limit, case.ratio)
    for case in cases:
        if case.kind == "wake" and case.rival == OURS:
            yield harness.at_most("wake-up p50, against a bare future", 1.3, case.ratio)


_FAN_OUT = "{readers} readers, bursts of {burst}: CPU time a delivery, against asyncio.Queue"
_TEXT = "{readers} readers, bursts of {burst}, transcript updates only: the same"
_WAKE = "publish to a reader that waits, p50, and how many bare futures long"

AREA = harness.Area(
    name="bus",
    plan=Plan(),
    quick=Plan(readers=(16,), deliveries=40_000, wake_turns=500, repetitions=3),
    run=run,
    tables=(
        harness.Table(_FAN_OUT, Case, {"kind": "fan_out"}, "-ratio"),
        harness.Table(_TEXT, Case, {"kind": "fan_out_text"}, "-ratio"),
        harness.Table(_WAKE, Case, {"kind": "wake"}, "ratio"),
    ),
    charts=(
        (
            harness.Lines(
                "bus: deliveries, times asyncio.Queue",
                Case,
                ("ratio",),
                {"kind": "fan_out", "burst": Plan().burst},
                x_title="readers",
                logarithmic=True,
            ),
            harness.Bars("bus: wake-up, times a bare future", Case, "ratio", {"kind": "wake"}),
        ),
    ),
    server="none",
    packages=("anyio",),
)
