"""How far apart an agent's voice and picture reach a surface."""

from __future__ import annotations

import statistics
from typing import Final

import msgspec

from . import publisher
from .beeps import delays
from .child import Ready
from .places import Server, new_room
from .processes import started
from .progress import Step
from .records import percentile
from .together_worker import Answer, Job

WORKER: Final = "livelayer_benchmarks.together_worker"
WIDTH, HEIGHT, FPS = 1280, 720, 30
ANSWER_SECONDS: Final = 30.0  # for the publisher to publish, and to tell its beeps
SPARE_SECONDS: Final = 60.0  # a case may take over its measured time


class Together(msgspec.Struct, frozen=True):
    """Voice and picture of one agent, delivered to one surface: medians in milliseconds.

    Both are counted from where they were handed to the sender's SDK.
    """

    voice: float
    picture: float
    offset: float
    """Voice minus picture: the median over connections of how far they were apart."""
    worst: float
    """The connection in which they were furthest apart."""


def measure_together(
    server: Server, repetitions: int, warm_up: float, seconds: float, step: Step
) -> Together:
    """Measure at 720p30, each repetition a connection of its own.

    Raises:
        BrokenError: a process failed.
    """
    place = new_room(server)
    answers: list[Answer] = []
    job = publisher.Job(place, WIDTH, HEIGHT, FPS, audio=True)
    with started("livelayer_benchmarks.publisher", job) as sender:
        sender.answer(Ready, ANSWER_SECONDS)
        for _ in range(repetitions):
            step("voice and picture together")
            with started(WORKER, Job(place, warm_up, seconds)) as process:
                answers.append(process.answer(Answer, warm_up + seconds + SPARE_SECONDS))
        sender.end()
        beeps: publisher.Beeps = sender.answer(publisher.Beeps, ANSWER_SECONDS)
    voices: list[float] = [
        percentile(delays(beeps.sent_ns, answer.heard_ns), 0.5) for answer in answers
    ]
    offsets: list[float] = [
        voice - answer.picture for voice, answer in zip(voices, answers, strict=True)
    ]
    worst = max(offsets, key=abs)
    return Together(
        voice=round(statistics.median(voices), 1),
        picture=round(statistics.median(answer.picture for answer in answers), 1),
        offset=round(statistics.median(offsets), 1),
        worst=round(worst, 1),
    )
