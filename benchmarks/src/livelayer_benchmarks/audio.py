"""The audio path beside the SDK's: CPU, delay and loss against the number of listeners.

And how far apart voice and picture of one agent arrive.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack

import msgspec

from . import publisher
from .audio_worker import Answer, Job, Outcome
from .beeps import delays
from .child import Ready
from .entries import enter, packages
from .places import Place, new_room, server_for
from .processes import started
from .progress import Step, steps
from .records import Goal, Result, at_most, median_of_ratios, percentile, surroundings
from .rounds import Row, rounds, rows, take
from .together import Together, measure_together

_PACKAGE = "livelayer_benchmarks.rivals.audio"
INSTALLED_RIVALS = (f"{_PACKAGE}.shared_session", f"{_PACKAGE}.sdk_streams")
OURS = "livelayer-bus"
SDK = "n AudioStreams"
WORKER = "livelayer_benchmarks.audio_worker"

ANSWER_SECONDS = 30.0  # for the publisher to publish, and to tell its beeps
SPARE_SECONDS = 60.0  # a case may take over its measured time


class Plan(msgspec.Struct, frozen=True):
    """How much to measure."""

    readers: tuple[int, ...] = (1, 16)
    seconds: float = 5.0
    warm_up: float = 1.5
    repetitions: int = 3
    seed: int = 20261


class Case(msgspec.Struct, frozen=True):
    """One way with one number of listeners: medians over the repetitions, times in milliseconds."""

    rival: str
    readers: int
    cpu: float
    """Of the listeners' process for each second of sound."""
    ratio: float
    """`cpu` in times of one AudioStream."""
    p50: float
    """From a beep handed to the sender's SDK to the frame it is heard in; worst listener."""
    p95: float
    p99: float
    frames: float
    """Frames of 10 ms each second that the worst-off listener got."""
    dropped: int
    """Frames lost to a bound, worst listener, over all repetitions."""
    rss: float
    """Megabytes."""


class AudioBenchmark(Result[Plan, Case], frozen=True, kw_only=True):
    """The result of one run."""

    together: Together
    """Voice and picture, without rivals: the SDK's own streams arrive as ours do."""


def run_audio_benchmark(
    plan: Plan | None = None,
    rivals: Iterable[str] = INSTALLED_RIVALS,
    url: str | None = None,
) -> AudioBenchmark:
    """Measure the rivals side by side: each case in a fresh process, repetitions interleaved.

    Args:
        plan: how much to measure; by default about three minutes.
        rivals: modules with the names that `livelayer_benchmarks.rivals.audio` describes.
        url: a real server; an embedded one if None.

    Raises:
        BrokenError: a process failed.
        ConfigError: `url` without LIVEKIT_API_KEY and LIVEKIT_API_SECRET.
    """
    plan = plan or Plan()
    entries, skipped = enter(rivals)
    taken: list[Row[Answer]] = rows(entries, plan.readers)
    with ExitStack() as stack:
        step = stack.enter_context(steps("audio", plan.repetitions * (len(taken) + 1)))
        server = stack.enter_context(server_for(url))
        place = new_room(server)
        job = publisher.Job(place, audio=True)
        sender = stack.enter_context(started("livelayer_benchmarks.publisher", job))
        sender.answer(Ready, ANSWER_SECONDS)
        for row in rounds(taken, plan.repetitions, plan.seed):
            _take(row, plan, place, step)
        sender.end()
        beeps: publisher.Beeps = sender.answer(publisher.Beeps, ANSWER_SECONDS)
        together = measure_together(server, plan.repetitions, plan.warm_up, plan.seconds, step)
    cases = list(_cases(taken, beeps.sent_ns))
    return AudioBenchmark(
        surroundings=surroundings("real" if url else "embedded", packages(entries)),
        plan=plan,
        cases=cases,
        together=together,
        goals=[*_goals(cases, plan), _goal_together(together)],
        skipped=skipped,
    )


def _take(row: Row[Answer], plan: Plan, place: Place, step: Step) -> None:
    step(f"{row.entry.name}, {row.readers}")
    job = Job(row.entry.module, row.readers, place, plan.warm_up, plan.seconds)
    take(row, WORKER, job, Outcome, plan.warm_up + plan.seconds + SPARE_SECONDS)


def _cases(taken: Sequence[Row[Answer]], sent_ns: Sequence[int]) -> Iterator[Case]:
    base = min(
        (row for row in taken if row.entry.name == SDK), key=lambda row: row.readers, default=None
    )
    for row in taken:
        per_reader = [
            delays(sent_ns, [heard for answer in row.answers for heard in answer.heard_ns[reader]])
            for reader in range(row.readers)
        ]
        worst = max(per_reader, key=lambda ordered: percentile(ordered, 0.5))
        cpus = [answer.cpu for answer in row.answers]
        yield Case(
            rival=row.entry.name,
            readers=row.readers,
            cpu=round(statistics.median(cpus), 2),
            ratio=median_of_ratios(cpus, [answer.cpu for answer in (base or row).answers]),
            p50=round(percentile(worst, 0.5), 1),
            p95=round(percentile(worst, 0.95), 1),
            p99=round(percentile(worst, 0.99), 1),
            frames=round(statistics.median(answer.frames for answer in row.answers), 1),
            dropped=sum(answer.dropped for answer in row.answers),
            rss=round(statistics.median(answer.rss for answer in row.answers), 1),
        )


def _goals(cases: Sequence[Case], plan: Plan) -> Iterator[Goal]:
    few, many = min(plan.readers), max(plan.readers)
    at = {(case.rival, case.readers): case for case in cases}
    one, all_of_ours = at.get((OURS, few)), at.get((OURS, many))
    if one is not None and all_of_ours is not None:
        name = f"{many} listeners against {few}, CPU"
        yield at_most(name, 1.3, all_of_ours.cpu / one.cpu)
        yield at_most(f"{many} listeners, frames dropped", 0, all_of_ours.dropped, "")


def _goal_together(together: Together) -> Goal:
    return at_most("voice and picture apart", 40, abs(together.offset), " ms")
