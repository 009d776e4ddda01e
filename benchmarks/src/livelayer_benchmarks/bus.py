"""The event bus against its alternatives: throughput and wake-ups, as ratios within one run."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from importlib.metadata import version
from typing import Literal, NamedTuple

import msgspec

from .bus_worker import Answer, Hello, Hire, Job
from .processes import Process, started
from .records import Goal, at_least, at_most
from .rounds import rounds

INSTALLED_RIVALS = tuple(
    f"livelayer_benchmarks.rivals.bus.{name}"
    for name in (
        "asyncio_queue",
        "ours_iter",
        "ours_batches",
        "bare_future",
        "direct_call",
        "anyio_streams",
        "livekit_emitter",
    )
)
WORKER = "livelayer_benchmarks.bus_worker"
BASE = "asyncio.Queue"
WAKE_BASE = "bare future"
JOB_SECONDS = 60  # for one job of one rival; a usual one takes less than a second
OURS = "livelayer-bus, by item"
OURS_BATCHES = "livelayer-bus, batches"


class Plan(msgspec.Struct, frozen=True):
    """How much to measure."""

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
    rival: str
    delivers_to: str
    readers: int
    burst: int
    nanoseconds: float
    """fan_out: CPU time of a delivery. wake: the median time from before publish to the reader."""
    ratio: float
    """fan_out: how many times as fast as asyncio.Queue. wake: how many bare futures long."""
    lowest_ratio: float
    highest_ratio: float


class BusBenchmark(msgspec.Struct, frozen=True):
    """The result of one run."""

    python: str
    machine: str
    versions: dict[str, str]
    plan: Plan
    cases: list[Case]
    goals: list[Goal]
    skipped: dict[str, str]
    """Rivals left out, and why."""


class _Rival(NamedTuple):
    """One rival's process, and its hello."""

    process: Process
    hello: Hello


def _enter(stack: ExitStack, module: str) -> _Rival:
    process = stack.enter_context(started(WORKER, Hire(module)))
    return _Rival(process, process.answer(Hello, JOB_SECONDS))


def run_bus_benchmark(
    plan: Plan | None = None, rivals: Iterable[str] = INSTALLED_RIVALS
) -> BusBenchmark:
    """Measure the rivals side by side: each in a fresh process, repetitions interleaved.

    Args:
        plan: How much to measure; by default enough for steady medians in about a minute.
        rivals: Modules with the names that `livelayer_benchmarks.rivals.bus` describes; asyncio's
            queue and the bare future have to be among them, the others are measured by these.

    Raises:
        BrokenError: a rival's process failed.
    """
    plan = plan or Plan()
    with ExitStack() as stack:
        entered = [_enter(stack, module) for module in rivals]
        skipped = {each.hello.name: each.hello.missing for each in entered if each.hello.missing}
        present = [each for each in entered if not each.hello.missing]
        cases = [case for job in _jobs(plan) for case in _measure(job, plan, present)]
        requires = {name for each in present for name in each.hello.requires}
    return BusBenchmark(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        versions={name: version(name) for name in sorted({"anyio", "livekit", *requires})},
        plan=plan,
        cases=cases,
        goals=list(_goals(cases, plan)),
        skipped=skipped,
    )


def _jobs(plan: Plan) -> Iterator[Job]:
    plain = Job("fan_out", plan.seed, deliveries=plan.deliveries, burst=plan.burst)
    middle = plan.readers[len(plan.readers) // 2]
    for readers in plan.readers:
        yield msgspec.structs.replace(plain, readers=readers)
    yield msgspec.structs.replace(plain, readers=middle, burst=plan.small_burst)
    yield msgspec.structs.replace(plain, readers=middle, text=True)
    yield Job("wake", plan.seed, turns=plan.wake_turns)


def _measure(job: Job, plan: Plan, present: list[_Rival]) -> Iterator[Case]:
    """One job on every rival that can do it, in a new order each repetition."""
    able = [rival for rival in present if job.kind in rival.hello.kinds]
    taken: dict[str, list[float]] = {rival.hello.name: [] for rival in able}
    for rival in rounds(able, plan.repetitions, plan.seed):
        rival.process.ask(job)
        answer: Answer = rival.process.answer(Answer, JOB_SECONDS)
        taken[rival.hello.name].append(answer.nanoseconds)
    base = taken[WAKE_BASE if job.kind == "wake" else BASE]
    for rival in able:
        name = rival.hello.name
        ratios = [
            own / other if job.kind == "wake" else other / own
            for own, other in zip(taken[name], base, strict=True)
        ]
        yield Case(
            kind="fan_out_text" if job.text else job.kind,
            rival=name,
            delivers_to=rival.hello.delivers_to,
            readers=job.readers,
            burst=job.burst,
            nanoseconds=round(statistics.median(taken[name]), 1),
            ratio=round(statistics.median(ratios), 4),
            lowest_ratio=round(min(ratios), 4),
            highest_ratio=round(max(ratios), 4),
        )


def _goals(cases: list[Case], plan: Plan) -> Iterator[Goal]:
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
        yield at_least(f"{name}, against asyncio.Queue", 2, item.ratio)
        yield at_least(f"{name}, against the fastest peer with a task", 1, item.ratio / max(peers))
    for burst, limit in ((plan.small_burst, 8), (plan.burst, 10)):
        case = at_16.get((burst, OURS_BATCHES))
        if case is not None:
            name = f"16 readers, bursts of {burst}, batches, against asyncio.Queue"
            yield at_least(name, limit, case.ratio)
    for case in cases:
        if case.kind == "wake" and case.rival == OURS:
            yield at_most("wake-up p50, against a bare future", 1.3, case.ratio)
