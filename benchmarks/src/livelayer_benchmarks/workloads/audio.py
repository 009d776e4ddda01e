"""The audio path beside the SDK's: CPU, delay and loss against the number of listeners.

And how far apart the audio and video of one agent arrive.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Annotated, Any, Final

import anyio
import msgspec

from livelayer_bus import Session, SurfaceSession

from .. import harness
from ..rivals.frames.shared_session import frame_reader
from ..signals.beeps import BeepDetector, delays
from ..signals.frame_recorder import Recorder
from ..signals.publisher import end_publishing, publishing

OURS: Final = "livelayer-bus"
SDK: Final = "n AudioStreams"
SPARE_SECONDS: Final = 60.0  # a case may take over its measured time
WIDTH, HEIGHT = 1280, 720  # of the video beside the audio


class Plan(msgspec.Struct, frozen=True):
    """How much to measure: about three minutes."""

    readers: tuple[int, ...] = (1, 16)
    seconds: float = 5.0
    warm_up: float = 1.5
    repetitions: int = 3


class Case(msgspec.Struct, frozen=True, tag_field="kind", tag="rivals"):
    """One way with one number of listeners: medians over the repetitions, times in milliseconds."""

    rival: harness.Name
    readers: harness.Readers
    cpu: Annotated[float, harness.Column("CPU", ".1f")]
    """Of the listeners' process for each second of audio."""
    ratio: harness.Ratio
    """`cpu` in times of one AudioStream."""
    p50: harness.Milliseconds
    """From a beep handed to the sender's SDK to the frame it begins in; worst listener."""
    p95: harness.Milliseconds
    p99: harness.Milliseconds
    frames: Annotated[float, harness.Column(form=".1f")]
    """Frames of 10 ms each second that the worst-off listener got."""
    dropped: Annotated[int, harness.Column("lost")]
    """Frames lost to a bound, worst listener, over all repetitions."""
    rss: harness.Megabytes


class Synchronization(msgspec.Struct, frozen=True, tag_field="kind", tag="synchronization"):
    """Audio and video of one agent, delivered to one surface: medians in milliseconds.

    Both are counted from where they were handed to the sender's SDK. Without rivals: the SDK's own
    streams arrive as ours do.
    """

    rival: harness.Name
    audio: harness.Milliseconds
    video: harness.Milliseconds
    offset: Annotated[float, harness.Column("apart", ".1f")]
    """Audio minus video: the median over connections of how far they were apart."""
    worst: harness.Milliseconds
    """The connection in which they were furthest apart."""


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    room: harness.RoomRef
    readers: int
    warm_up: float
    seconds: float
    rival: str = ""
    """A module that `livelayer_benchmarks.rivals.audio` describes."""


class Answer(msgspec.Struct, frozen=True):
    """What a process measured."""

    cpu: float
    """Milliseconds of the whole process for each second of audio."""
    frames: float
    """Frames each second that the worst-off listener got."""
    dropped: int
    detected_ns: list[list[int]]
    """When each listener got the beginning of each beep."""
    rss: float


async def measure(job: Job) -> Answer:
    """Let the rival's listeners listen; measure after the warm-up."""
    rival: Any = import_module(job.rival)
    listeners = [BeepDetector() for _ in range(job.readers)]

    def on_samples(number: int, samples: memoryview) -> None:
        listeners[number].feed(samples)

    async with rival.readers(job.room, job.readers, on_samples) as dropped:
        await harness.begun(lambda: all(one.frames for one in listeners))
        await asyncio.sleep(job.warm_up)
        for one in listeners:
            one.frames = 0
            one.detected_ns.clear()
        lost, used, began = dropped(), harness.cpu_seconds(), time.monotonic()
        await asyncio.sleep(job.seconds)
        used, took = harness.cpu_seconds() - used, time.monotonic() - began
        return Answer(
            cpu=round(1000 * used / took, 3),
            frames=round(min(one.frames for one in listeners) / took, 2),
            dropped=dropped() - lost,
            detected_ns=[list(one.detected_ns) for one in listeners],
            rss=round(harness.resident_mb(), 1),
        )


class SynchronizationAnswer(msgspec.Struct, frozen=True):
    """What a process that watches and listens measured."""

    video: float
    """Milliseconds from a frame handed to the sender's SDK to its delivery, median."""
    detected_ns: list[int]


async def measure_synchronization(job: Job) -> SynchronizationAnswer:
    """Watch and listen with one surface; measure after the warm-up."""
    recorder, listener = Recorder(1), BeepDetector()

    async def surface(session: SurfaceSession) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(frame_reader(0, recorder.on_frame), session)
            with session.audio.subscribe() as audio:
                async for frame in audio:
                    listener.feed(frame.data)

    async with Session("bench", tokens=job.room.token_source()) as session:
        session.mount(surface, key="surface", on_fault="raise")
        await session.connect()
        await harness.begun(lambda: recorder.begun and listener.frames > 0)
        await asyncio.sleep(job.warm_up)
        first = recorder.start()
        listener.detected_ns.clear()
        await asyncio.sleep(job.seconds)
        video = recorder.result(first, recorder.newest()).p50
        return SynchronizationAnswer(video, list(listener.detected_ns))


def run(plan: Plan, url: str | None, rivals: list[harness.Rival]) -> harness.Measured:
    """Measure the rivals side by side: each case in a fresh process, repetitions interleaved."""
    measured: list[harness.Row[Answer]] = harness.rows(rivals, plan.readers)
    seconds = plan.warm_up + plan.seconds + SPARE_SECONDS
    with harness.server_for(url) as server:
        room = harness.new_room(server)

        def measure_row(row: harness.Row[Answer]) -> Answer:
            job = Job(room, row.readers, plan.warm_up, plan.seconds, row.rival.module)
            return harness.ask(measure, job, seconds)

        with publishing(room, audio=True) as publisher:
            harness.run_rounds("audio", measured, plan.repetitions, measure_row)
            sent_ns = end_publishing(publisher)
        together = _synchronization(server, plan)
    cases = list(_cases(measured, sent_ns))
    apart = harness.at_most("audio and video apart", 40, abs(together.offset), " ms")
    return harness.Measured([*cases, together], [*_goals(cases, plan), apart])


def _synchronization(server: harness.Server, plan: Plan) -> Synchronization:
    """Measure audio beside 720p30, each repetition a connection of its own."""
    room = harness.new_room(server)
    job = Job(room, 1, plan.warm_up, plan.seconds)
    seconds = plan.warm_up + plan.seconds + SPARE_SECONDS
    with publishing(room, WIDTH, HEIGHT, audio=True) as publisher:
        answers = [
            harness.ask(measure_synchronization, job, seconds) for _ in range(plan.repetitions)
        ]
        sent_ns = end_publishing(publisher)
    audio = [harness.percentile(delays(sent_ns, answer.detected_ns), 0.5) for answer in answers]
    offsets: list[float] = [own - answer.video for own, answer in zip(audio, answers, strict=True)]
    worst: float = max(offsets, key=abs)
    return Synchronization(
        rival=OURS,
        audio=harness.median(audio, 1),
        video=harness.median((answer.video for answer in answers), 1),
        offset=harness.median(offsets, 1),
        worst=round(worst, 1),
    )


def _cases(measured: Sequence[harness.Row[Answer]], sent_ns: Sequence[int]) -> Iterator[Case]:
    for row in measured:
        per_reader = [
            delays(sent_ns, [at for answer in row.answers for at in answer.detected_ns[reader]])
            for reader in range(row.readers)
        ]
        worst = max(per_reader, key=lambda ordered: harness.percentile(ordered, 0.5))
        yield Case(
            rival=row.rival.name,
            readers=row.readers,
            cpu=row.median("cpu", 2),
            ratio=row.ratio("cpu", harness.fewest(measured, SDK)),
            **harness.spread(worst, 1),
            frames=row.median("frames", 1),
            dropped=sum(answer.dropped for answer in row.answers),
            rss=row.median("rss", 1),
        )


def _goals(cases: Sequence[Case], plan: Plan) -> Iterator[harness.Goal]:
    few, many = min(plan.readers), max(plan.readers)
    at = {(case.rival, case.readers): case for case in cases}
    one, all_of_ours = at.get((OURS, few)), at.get((OURS, many))
    if one is not None and all_of_ours is not None:
        yield harness.at_most(
            f"{many} listeners against {few}, CPU", 1.3, all_of_ours.cpu / one.cpu
        )
        yield harness.at_most(f"{many} listeners, frames dropped", 0, all_of_ours.dropped, "")


AREA = harness.Area(
    name="audio",
    plan=Plan(),
    quick=Plan(seconds=2.0, warm_up=1.0, repetitions=1),
    run=run,
    tables=(
        harness.Table("CPU ms a second (x one AudioStream), beep sent to received in ms", Case),
        harness.Table("sent to delivered in ms", Synchronization),
    ),
    charts=(harness.cost_and_latency("audio", Case, "a second of audio"),),
)
