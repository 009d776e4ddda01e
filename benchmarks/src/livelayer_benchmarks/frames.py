"""The frame path beside the SDK's: CPU, latency and copies against the number of surfaces."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Literal, cast

import msgspec

from . import publisher
from .child import Ready
from .entries import Entry, enter, packages
from .frames_growth import Growth, growth, order, take_turns
from .frames_worker import Answer, Job, Outcome
from .places import Place, new_room, server_for
from .processes import started
from .progress import Step, steps
from .records import Goal, Result, at_least, at_most, median_of_ratios, surroundings
from .rounds import Row, rounds, rows, take

_PACKAGE = "livelayer_benchmarks.rivals.frames"
OURS_SERVER = f"{_PACKAGE}.shared_session"
SDK_SERVER = f"{_PACKAGE}.sdk_streams"
OURS_LOCAL = f"{_PACKAGE}.local_channel"
SDK_LOCAL = f"{_PACKAGE}.local_streams"
INSTALLED_RIVALS = (OURS_SERVER, SDK_SERVER, OURS_LOCAL, SDK_LOCAL)
OURS = "livelayer-bus"
SDK = "n VideoStreams"
WORKER = "livelayer_benchmarks.frames_worker"

PUBLISH_SECONDS = 30.0  # for the publisher to join and publish
SPARE_SECONDS = 60.0  # a case may take over its measured time: joining, closing, a busy machine

Path = Literal["server", "local"]


class Plan(msgspec.Struct, frozen=True):
    """How much to measure."""

    width: int = 1280
    """A multiple of 32."""
    height: int = 720
    fps: int = 30
    readers: tuple[int, ...] = (1, 4, 16)
    seconds: float = 4.0
    """Measured in one case of one repetition."""
    warm_up: float = 1.5
    """Seconds before that, from every reader's first picture on."""
    repetitions: int = 3
    turns: int = 3
    """Times that the most surfaces are compared with the fewest in one connection, a repetition."""
    paths: tuple[Path, ...] = ("local", "server")
    seed: int = 20261


class Case(msgspec.Struct, frozen=True):
    """One way with one number of surfaces: medians over the repetitions, times in milliseconds."""

    path: Path
    rival: str
    readers: int
    cpu: float
    """Of the surfaces' process for each picture shown; on the local path the sender's too."""
    ratio: float
    """`cpu` in times of one VideoStream on the same path."""
    p50: float
    """Sent to read; of the worst surface."""
    p95: float
    p99: float
    added: float | None
    """Median from the SDK's stream to the surface, where a channel lies between."""
    dropped: float
    """Percent of the pictures that the worst surface did not get."""
    copied: int
    """Bytes copied for each further surface and picture."""
    rss: float
    """Megabytes."""
    size: str
    """As it was received."""
    damaged: int
    """Pictures whose stamp could not be read."""


class FramesBenchmark(Result[Plan, Case], frozen=True, kw_only=True):
    """The result of one run."""

    growths: list[Growth]
    """What further surfaces of ours cost, over one connection."""


class _Turned(msgspec.Struct):
    """The turns of our way on one path, one list a repetition."""

    entry: Entry
    repetitions: list[list[Answer]]


def run_frames_benchmark(
    plan: Plan | None = None,
    rivals: Iterable[str] = INSTALLED_RIVALS,
    url: str | None = None,
) -> FramesBenchmark:
    """Measure the rivals side by side: each case in a fresh process, repetitions interleaved.

    Args:
        plan: how much to measure; by default about nine minutes.
        rivals: modules with the names that `livelayer_benchmarks.rivals.frames` describes.
        url: a real server; an embedded one if None.

    Raises:
        BrokenError: a process failed.
        ConfigError: `url` without LIVEKIT_API_KEY and LIVEKIT_API_SECRET.
    """
    plan = plan or Plan()
    entries, skipped = enter(rivals)
    entries = [entry for entry in entries if entry.path in plan.paths]
    taken: list[Row[Answer]] = []
    turned: list[_Turned] = []
    ours = sum(entry.name == OURS for entry in entries)
    total = plan.repetitions * (len(plan.readers) * len(entries) + ours)
    with steps("frames", total) as step:
        for path in plan.paths:
            there = [entry for entry in entries if entry.path == path]
            if there:
                # The local path first, while no publisher takes its share of the machine.
                _measure_path(path, there, plan, url, step, taken, turned)
    cases = list(_cases(taken))
    growths = list(_growths(turned, plan))
    server = "none" if "server" not in plan.paths else "real" if url else "embedded"
    return FramesBenchmark(
        surroundings=surroundings(server, packages(entries)),
        plan=plan,
        cases=cases,
        growths=growths,
        goals=[*_growth_goals(growths), *_goals(cases, plan)],
        skipped=skipped,
    )


def _measure_path(
    path: Path,
    entries: Sequence[Entry],
    plan: Plan,
    url: str | None,
    step: Step,
    taken: list[Row[Answer]],
    turned: list[_Turned],
) -> None:
    """Add what was measured on one path to `taken` and `turned`."""
    with ExitStack() as stack:
        place: Place | None = None
        if path == "server":
            place = new_room(stack.enter_context(server_for(url)))
            job = publisher.Job(place, plan.width, plan.height, plan.fps)
            sender = stack.enter_context(started("livelayer_benchmarks.publisher", job))
            sender.answer(Ready, PUBLISH_SECONDS)
        side_by_side: list[Row[Answer]] = rows(entries, plan.readers)
        ours = [_Turned(entry, []) for entry in entries if entry.name == OURS]
        everything: list[Row[Answer] | _Turned] = [*side_by_side, *ours]
        for row in rounds(everything, plan.repetitions, plan.seed):
            _take(row, plan, place, step)
        taken += side_by_side
        turned += ours


def _take(row: Row[Answer] | _Turned, plan: Plan, place: Place | None, step: Step) -> None:
    entry, few, many = row.entry, min(plan.readers), max(plan.readers)
    readers = many if isinstance(row, _Turned) else row.readers
    job = Job(
        entry.module,
        readers,
        plan.width,
        plan.height,
        plan.fps,
        plan.warm_up,
        plan.seconds,
        place,
    )
    if isinstance(row, _Turned):
        step(f"{entry.path}: {entry.name}, {few} and {many} in turns")
        row.repetitions.append(take_turns(job, order(few, many, plan.turns)))
        return
    step(f"{entry.path}: {entry.name}, {readers}")
    take(row, WORKER, job, Outcome, plan.warm_up + plan.seconds + SPARE_SECONDS)


def _growths(turned: Sequence[_Turned], plan: Plan) -> Iterator[Growth]:
    few, many = min(plan.readers), max(plan.readers)
    for row in turned:
        found = growth(row.entry.path, row.entry.name, few, many, row.repetitions)
        if found is not None:
            yield found


def _cases(taken: Sequence[Row[Answer]]) -> Iterator[Case]:
    for row in taken:
        base = min(
            (one for one in taken if one.entry.path == row.entry.path and one.entry.name == SDK),
            key=lambda one: one.readers,
            default=row,
        )
        seen = [answer.seen for answer in row.answers]
        added = [one.added for one in seen if one.added is not None]
        yield Case(
            path=cast(Path, row.entry.path),
            rival=row.entry.name,
            readers=row.readers,
            cpu=round(statistics.median(answer.cpu for answer in row.answers), 3),
            ratio=median_of_ratios(_cpus(row), _cpus(base)),
            p50=round(statistics.median(one.p50 for one in seen), 3),
            p95=round(statistics.median(one.p95 for one in seen), 3),
            p99=round(statistics.median(one.p99 for one in seen), 3),
            added=round(statistics.median(added), 4) if added else None,
            dropped=round(100 * statistics.median(s.dropped / max(1, s.sent) for s in seen), 1),
            copied=max(one.copied for one in seen),
            rss=round(statistics.median(answer.rss for answer in row.answers), 1),
            size=f"{seen[-1].width} x {seen[-1].height}",
            damaged=sum(one.damaged for one in seen),
        )


def _cpus(row: Row[Answer]) -> list[float]:
    return [answer.cpu for answer in row.answers]


def _growth_goals(growths: Sequence[Growth]) -> Iterator[Goal]:
    """Hold the most surfaces against the fewest."""
    for one in growths:
        limit = 1.1 if one.path == "server" else 1.25
        where = f"{one.path}: {one.many} surfaces against {one.few}, in turns"
        yield at_most(f"{where}, CPU a frame", limit, one.cpu)
        yield at_most(f"{where}, p50", limit, one.p50)


def _goals(cases: Sequence[Case], plan: Plan) -> Iterator[Goal]:
    """Hold our way against the SDK's."""
    few, many = min(plan.readers), max(plan.readers)
    leads: dict[Path, float] = {"server": 3.0, "local": 8.0}
    for path, lead in leads.items():
        at = {(case.rival, case.readers): case for case in cases if case.path == path}
        one, all_of_ours, theirs = at.get((OURS, few)), at.get((OURS, many)), at.get((SDK, many))
        if one is None or all_of_ours is None or theirs is None:
            continue
        where = f"{path}: {many} surfaces"
        yield at_least(
            f"{where} against {many} VideoStreams, CPU", lead, theirs.cpu / all_of_ours.cpu
        )
        yield at_most(f"{where}, copied a further surface", 0, all_of_ours.copied, " bytes")
        if path == "server" and one.added is not None:
            name = f"server: what the channel adds to {few} raw VideoStream, p50"
            yield at_most(name, 0.3, one.added, " ms")
