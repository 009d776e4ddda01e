"""What recording a session costs: CPU beside FFmpeg alone, and the time of other surfaces."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, final

import msgspec
import numpy as np

from livelayer_bus import AudioFrame, VideoFrame
from livelayer_bus.clock import now_ns

from .. import harness

RECORDED: Final = "livelayer-bus, recorded"
ALONE: Final = "livelayer-bus, not recorded"
ENCODER: Final = "FFmpeg alone"
PRESET: Final = "veryfast"
QUALITY: Final = 23
FPS: Final = 30
PICTURES: Final = 30  # different ones, shown in turns
SPARE_SECONDS: Final = 120.0  # a case may take over its measured time


class Plan(msgspec.Struct, frozen=True):
    """How much to measure: about two minutes."""

    width: int = 1280
    height: int = 720
    seconds: float = 10.0
    repetitions: int = 3


class Case(msgspec.Struct, frozen=True):
    """One way: medians over the repetitions."""

    rival: harness.Name
    cpu: Annotated[float, harness.Column("CPU", ".2f")]
    """Milliseconds of the process for each picture that it dealt with."""
    ratio: harness.Ratio
    """`cpu` in times of the encoders' alone."""
    p99: harness.Milliseconds
    """From a picture's arrival until the other surface had it."""


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    rival: str
    """A module that `livelayer_benchmarks.rivals.record` describes."""
    width: int
    height: int
    seconds: float


class Shown(msgspec.Struct, frozen=True):
    """What one way made of a source."""

    pictures: int
    """Pictures recorded, encoded or shown: those that were dropped do not look cheap."""
    late: list[float]
    """Milliseconds from each picture's arrival until another reader had it."""


class Answer(msgspec.Struct, frozen=True):
    """What it measured."""

    cpu: float
    p99: float


@final
class Source:
    """Moving pictures, 30 a second, and a tone in frames of 10 ms, in real time."""

    def __init__(self, width: int, height: int, seconds: float) -> None:
        self.width = width
        self.height = height
        self._seconds = seconds
        self._pictures = [_picture(number, width, height) for number in range(PICTURES)]
        wave = np.sin(np.arange(480) * 2 * np.pi * 440 / 48_000) * 8000
        self._sound = wave.astype(np.int16).tobytes()

    async def play(
        self, show: Callable[[VideoFrame], object], hear: Callable[[AudioFrame], object]
    ) -> None:
        """Give everything at its time; returns at the end."""
        begin = now_ns()
        for step in range(round(self._seconds * 100)):
            wait = begin / 1e9 + step / 100 - now_ns() / 1e9
            await asyncio.sleep(max(0.0, wait))
            hear(AudioFrame(self._sound, 48_000, 1, 480))
            number = step * FPS // 100
            if number != (step - 1) * FPS // 100:
                show(VideoFrame(self._pictures[number % PICTURES], self.width, self.height))


def _picture(number: int, width: int, height: int) -> bytes:
    """A soft ground with a disc that moves: about as hard to encode as a face."""
    y, x = np.mgrid[0:height, 0:width]
    ground = 90 + 40 * np.sin(x / 97 + number / PICTURES) + 30 * np.cos(y / 71)
    angle = 2 * np.pi * number / PICTURES
    left, top = width * (0.5 + 0.2 * np.cos(angle)), height * (0.5 + 0.2 * np.sin(angle))
    far = np.hypot(x - left, y - top)
    luma = np.where(far < height / 4, 200 - far / 4 + 10 * np.sin(x / 5), ground)
    chroma = np.full((height // 2, width // 2), 128) + np.clip(ground[::2, ::2] - 90, -40, 40)
    planes = (luma.ravel(), chroma.ravel(), 255 - chroma.ravel())
    return np.concatenate(planes).clip(16, 235).astype(np.uint8).tobytes()


async def measure(job: Job) -> Answer:
    """Play the source once, and count."""
    rival: Any = import_module(job.rival)
    source = Source(job.width, job.height, job.seconds)
    with tempfile.TemporaryDirectory() as folder:
        used = harness.cpu_seconds()
        shown: Shown = await rival.recorded(source, Path(folder))
        used = harness.cpu_seconds() - used
    p99 = harness.percentile(sorted(shown.late), 0.99)
    return Answer(cpu=round(1000 * used / max(1, shown.pictures), 3), p99=round(p99, 3))


def run(plan: Plan, url: str | None, rivals: list[harness.Rival]) -> harness.Measured:
    """Measure the cases side by side, each in a fresh process, without a server."""
    del url
    rows: list[harness.Row[Answer]] = harness.rows(rivals)

    def measure_row(row: harness.Row[Answer]) -> Answer:
        job = Job(row.rival.module, plan.width, plan.height, plan.seconds)
        return harness.ask(measure, job, plan.seconds + SPARE_SECONDS)

    harness.run_rounds("record", rows, plan.repetitions, measure_row)
    base = harness.fewest(rows, ENCODER)
    cases = [
        Case(row.rival.name, row.median("cpu", 2), row.ratio("cpu", base), row.median("p99", 3))
        for row in rows
    ]
    return harness.Measured(cases, list(_goals(rows)))


def _goals(rows: list[harness.Row[Answer]]) -> Iterator[harness.Goal]:
    at = {row.rival.name: row.answers for row in rows}
    recorded, alone, encoder = at.get(RECORDED), at.get(ALONE), at.get(ENCODER)
    if recorded is None or alone is None or encoder is None:
        return
    added = [
        (one.cpu - bare.cpu) / both.cpu
        for one, bare, both in zip(recorded, alone, encoder, strict=True)
    ]
    yield harness.at_most(
        "recording, CPU it adds, against FFmpeg alone", 1.15, harness.median(added, 3)
    )
    late = [one.p99 / bare.p99 for one, bare in zip(recorded, alone, strict=True) if bare.p99]
    if late:
        yield harness.at_most(
            "p99 of another surface, recorded against not", 1.2, harness.median(late, 3)
        )


AREA = harness.Area(
    name="record",
    plan=Plan(),
    quick=Plan(seconds=3.0, repetitions=1),
    run=run,
    tables=(harness.Table("recording 720p30 and a voice: CPU ms a picture, p99 in ms", Case),),
    charts=(
        (
            harness.Bars("recording: CPU ms a picture", Case, "cpu"),
            harness.Bars("recording: p99 of another surface, ms", Case, "p99"),
        ),
    ),
)
