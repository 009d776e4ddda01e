"""What further surfaces cost: few and many of them in turns over one connection."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from .child import Missing
from .frames_turns import Outcome, Turns, TurnsJob
from .frames_worker import Answer, Job
from .processes import started

WORKER: Final = "livelayer_benchmarks.frames_turns"
SPARE_SECONDS: Final = 60.0  # all turns may take over their measured time


class Growth(msgspec.Struct, frozen=True):
    """Many surfaces in times of few, each turn against its neighbours: medians."""

    path: str
    rival: str
    few: int
    many: int
    cpu: float
    """CPU a picture."""
    p50: float
    """Sent to read, of the worst surface."""
    turns: int
    """Comparisons that these are the medians of."""


def order(few: int, many: int, pairs: int) -> tuple[int, ...]:
    """The numbers of readers of one turn after the other: it begins and ends with `few`."""
    return (few, *(count for _ in range(pairs) for count in (many, few)))


def take_turns(job: Job, readers: Sequence[int]) -> list[Answer]:
    """Take the turns in a fresh process; none where the rival's libraries are missing.

    Raises:
        BrokenError: the process failed.
    """
    seconds = (job.warm_up + job.seconds) * len(readers) + SPARE_SECONDS
    with started(WORKER, TurnsJob(job, tuple(readers))) as process:
        outcome: Turns | Missing = process.answer(Outcome, seconds)
    return outcome.answers if isinstance(outcome, Turns) else []


def growth(
    path: str, rival: str, few: int, many: int, repetitions: Sequence[Sequence[Answer]]
) -> Growth | None:
    """Sum up the turns of any number of processes, in the `order` they were taken in."""
    cpus = list(_ratios(repetitions, lambda answer: answer.cpu))
    p50s = list(_ratios(repetitions, lambda answer: answer.seen.p50))
    if not cpus or not p50s:
        return None
    cpu, p50 = (round(statistics.median(ratios), 3) for ratios in (cpus, p50s))
    return Growth(path, rival, few, many, cpu, p50, len(cpus))


def _ratios(
    repetitions: Sequence[Sequence[Answer]], value: Callable[[Answer], float]
) -> Iterator[float]:
    """Every turn of many against the mean of the turns of few before and after it."""
    for answers in repetitions:
        for place in range(1, len(answers) - 1, 2):
            few = (value(answers[place - 1]) + value(answers[place + 1])) / 2
            if few:
                yield value(answers[place]) / few
