"""Measures a benchmark's rows in rounds, so that a slow minute of the machine hits all alike."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from .child import Missing
from .entries import Entry
from .processes import started

AnswerT = TypeVar("AnswerT")
RowT = TypeVar("RowT")


class Row(msgspec.Struct, Generic[AnswerT]):
    """One rival with one number of readers, and its answers, one a repetition."""

    entry: Entry
    readers: int
    answers: list[AnswerT]


def rows(entries: Sequence[Entry], counts: Sequence[int]) -> list[Row[Any]]:
    """Every rival with every number of readers, not measured yet."""
    return [Row(entry, count, []) for entry in entries for count in counts]


def rounds(measured: Sequence[RowT], repetitions: int, seed: int) -> Iterator[RowT]:
    """Everything once a repetition, in an order of its own each time."""
    rng = random.Random(seed)
    for _ in range(repetitions):
        yield from rng.sample(measured, len(measured))


def take(row: Row[Any], worker: str, job: msgspec.Struct, outcome: Any, seconds: float) -> None:
    """Measure `row` once in a fresh process; one that lacks something leaves it without an answer.

    Args:
        row: gets the answer.
        worker: the module to run.
        job: what it is given.
        outcome: the type of what it tells: an answer, or `Missing`.
        seconds: until it must have told it.

    Raises:
        BrokenError: the process failed.
    """
    with started(worker, job) as process:
        told = process.answer(outcome, seconds)
    if not isinstance(told, Missing):
        row.answers.append(told)
