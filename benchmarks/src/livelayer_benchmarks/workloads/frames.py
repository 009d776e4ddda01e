"""The frame path beside the SDK's: CPU, latency and copies against the number of surfaces.

Each case has a process of its own. What further surfaces cost is also measured in turns, few and
many of them over one connection: two connections are never equally late, since a jitter buffer
settles a few milliseconds apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from importlib import import_module
from typing import Annotated, Any, Final

import msgspec

from .. import harness
from ..signals.frame_recorder import FrameStatistics, Recorder
from ..signals.publisher import publishing

OURS: Final = "livelayer-bus"
SDK: Final = "n VideoStreams"
LEADS: Final = {"local": 8.0, "server": 3.0}  # of ours over as many VideoStreams, CPU
LIMITS: Final = {"local": 1.25, "server": 1.1}  # of the most surfaces, in times of the fewest
GRACE_SECONDS: Final = 0.5  # for what was sent in the measured time to arrive
SPARE_SECONDS: Final = 60.0  # a case may take over its measured time: joining, a busy machine


class Plan(msgspec.Struct, frozen=True):
    """How much to measure: about nine minutes."""

    width: int = 1280
    """A multiple of 32."""
    height: int = 720
    fps: int = 30
    readers: tuple[int, ...] = (1, 4, 16)
    seconds: float = 4.0
    """Measured in one case of one repetition."""
    warm_up: float = 1.5
    """Seconds before that, from every reader's first frame on."""
    repetitions: int = 3
    turns: int = 3
    """Times that the most surfaces are compared with the fewest in one connection, a repetition."""


class Case(msgspec.Struct, frozen=True, tag_field="kind", tag="rivals"):
    """One way with one number of surfaces: medians over the repetitions, times in milliseconds."""

    path: str
    """"server" or "local"."""
    rival: harness.Name
    readers: harness.Readers
    cpu: Annotated[float, harness.Column("CPU", ".2f")]
    """Of the surfaces' process for each frame shown; on the local path the sender's too."""
    ratio: harness.Ratio
    """`cpu` in times of one VideoStream on the same path."""
    p50: harness.Milliseconds
    """Sent to read; of the worst surface."""
    p95: harness.Milliseconds
    p99: harness.Milliseconds
    added: Annotated[float | None, harness.Column("adds", ".3f")]
    """Median from the SDK's stream to the surface, where a channel lies between."""
    dropped: Annotated[float, harness.Column("lost", ".1f", "%")]
    """Percent of the frames that the worst surface did not get."""
    copied: Annotated[int, harness.Column("copied", ".2f", "MB", 1e-6)]
    """Bytes copied for each further surface and frame."""
    rss: harness.Megabytes
    size: str
    """As it was received."""
    damaged: int
    """Frames whose stamp could not be read."""


class Growth(msgspec.Struct, frozen=True, tag_field="kind", tag="turns"):
    """Many surfaces of ours in times of few, each turn against its neighbours: medians."""

    path: str
    rival: harness.Name
    few: Annotated[int, harness.Column()]
    many: Annotated[int, harness.Column()]
    cpu: Annotated[float, harness.Column("CPU", ".2f", "x")]
    """CPU a frame."""
    p50: Annotated[float, harness.Column("p50", ".2f", "x")]
    """Sent to read, of the worst surface."""
    turns: int
    """Comparisons that these are the medians of."""


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    rival: str
    """A module that `livelayer_benchmarks.rivals.frames` describes."""
    readers: tuple[int, ...]
    """One number after the other, over one connection."""
    plan: Plan
    room: harness.RoomRef | None = None
    """Where a publisher sends; None for rivals that paint frames themselves."""

    def remote(self) -> harness.RoomRef:
        """The room, for rivals that join one."""
        if self.room is None:
            raise ValueError(f"{self.rival} needs a room to join")
        return self.room


class Answer(msgspec.Struct, frozen=True):
    """What a process measured."""

    frames: FrameStatistics
    cpu: float
    """Milliseconds of the whole process for each frame a surface got, on average.

    Not for each one sent: then dropping frames would look like working cheaply.
    """
    rss: float
    """Megabytes at the end of the measured time."""


async def measure(job: Job) -> list[Answer]:
    """Let the rival's readers read, and measure with each number of them."""
    rival: Any = import_module(job.rival)
    answers: list[Answer] = []
    async with rival.connected(job) as attach:
        for count in job.readers:
            recorder = Recorder(count)
            async with attach(count, recorder.on_frame):
                answers.append(await _watch(job.plan, recorder))
    return answers


async def _watch(plan: Plan, recorder: Recorder) -> Answer:
    """Measure after the warm-up, while the readers read."""
    await harness.begun(lambda: recorder.begun)
    await asyncio.sleep(plan.warm_up)
    first, used = recorder.start(), harness.cpu_seconds()
    await asyncio.sleep(plan.seconds)
    used, last, read = harness.cpu_seconds() - used, recorder.newest(), recorder.read
    rss = harness.resident_mb()
    await asyncio.sleep(GRACE_SECONDS)
    cpu = 1000 * used / max(1.0, read)
    return Answer(recorder.result(first, last), round(cpu, 3), round(rss, 1))


def run(plan: Plan, url: str | None, rivals: list[harness.Rival]) -> harness.Measured:
    """Measure the rivals side by side: each case in a fresh process, repetitions interleaved."""
    few, many = min(plan.readers), max(plan.readers)
    in_turns = (few, *(count for _ in range(plan.turns) for count in (many, few)))
    measured: list[harness.Row[Answer]] = []
    growths: list[Growth] = []
    # The local path first, while no publisher takes its share of the machine.
    for path in LEADS:
        here = [rival for rival in rivals if rival.part == path]
        if not here:
            continue
        single: list[harness.Row[list[Answer]]] = harness.rows(here, plan.readers)
        note = f" and {few} in turns"
        turned = [harness.Row(rival, many, list[list[Answer]](), note) for rival in here]
        turned = [row for row in turned if row.rival.name == OURS]
        with ExitStack() as stack:
            room: harness.RoomRef | None = None
            if path == "server":
                room = harness.new_room(stack.enter_context(harness.server_for(url)))
                stack.enter_context(publishing(room, plan.width, plan.height, plan.fps))

            def measure_row(
                row: harness.Row[list[Answer]], room: harness.RoomRef | None = room
            ) -> list[Answer]:
                counts = in_turns if row.note else (row.readers,)
                job = Job(row.rival.module, counts, plan, room)
                seconds = (plan.warm_up + plan.seconds) * len(counts) + SPARE_SECONDS
                return harness.ask(measure, job, seconds)

            harness.run_rounds(f"frames, {path}", [*single, *turned], plan.repetitions, measure_row)
        measured += [
            harness.Row(row.rival, row.readers, [answer for [answer] in row.answers])
            for row in single
        ]
        growths += [growth for row in turned if (growth := growth_of(row, few))]
    cases = list(_cases(measured))
    goals = [*_growth_goals(growths), *_goals(cases, plan)]
    return harness.Measured([*cases, *growths], goals)


def growth_of(row: harness.Row[list[Answer]], few: int) -> Growth | None:
    """Sum up the turns of any number of processes; each begins and ends with few."""
    cpus = list(_turn_ratios(row.answers, lambda answer: answer.cpu))
    p50s = list(_turn_ratios(row.answers, lambda answer: answer.frames.p50))
    if not cpus or not p50s:
        return None
    cpu, p50 = harness.median(cpus), harness.median(p50s)
    return Growth(row.rival.part, row.rival.name, few, row.readers, cpu, p50, len(cpus))


def _turn_ratios(
    repetitions: Sequence[Sequence[Answer]], value: Callable[[Answer], float]
) -> Iterator[float]:
    """Every turn of many against the mean of the turns of few before and after it."""
    for answers in repetitions:
        for turn in range(1, len(answers) - 1, 2):
            few = (value(answers[turn - 1]) + value(answers[turn + 1])) / 2
            if few:
                yield value(answers[turn]) / few


def _cases(measured: Sequence[harness.Row[Answer]]) -> Iterator[Case]:
    for row in measured:
        path = row.rival.part
        base = harness.fewest((one for one in measured if one.rival.part == path), SDK)
        frames = [answer.frames for answer in row.answers]
        added = [one.added for one in frames if one.added is not None]
        yield Case(
            path=path,
            rival=row.rival.name,
            readers=row.readers,
            cpu=row.median("cpu"),
            ratio=row.ratio("cpu", base),
            p50=row.median("frames.p50"),
            p95=row.median("frames.p95"),
            p99=row.median("frames.p99"),
            added=harness.median(added, 4) if added else None,
            dropped=harness.median((100 * one.dropped / max(1, one.sent) for one in frames), 1),
            copied=max(one.copied for one in frames),
            rss=row.median("rss", 1),
            size=f"{frames[-1].width} x {frames[-1].height}",
            damaged=sum(one.damaged for one in frames),
        )


def _growth_goals(growths: Sequence[Growth]) -> Iterator[harness.Goal]:
    """Hold the most surfaces against the fewest."""
    for one in growths:
        where = f"{one.path}: {one.many} surfaces against {one.few}, in turns"
        yield harness.at_most(f"{where}, CPU a frame", LIMITS[one.path], one.cpu)
        yield harness.at_most(f"{where}, p50", LIMITS[one.path], one.p50)


def _goals(cases: Sequence[Case], plan: Plan) -> Iterator[harness.Goal]:
    """Hold our way against the SDK's."""
    few, many = min(plan.readers), max(plan.readers)
    for path, lead in LEADS.items():
        at = {(case.rival, case.readers): case for case in cases if case.path == path}
        one, all_of_ours, theirs = at.get((OURS, few)), at.get((OURS, many)), at.get((SDK, many))
        if one is None or all_of_ours is None or theirs is None:
            continue
        where = f"{path}: {many} surfaces"
        cpu = theirs.cpu / all_of_ours.cpu
        yield harness.at_least(f"{where} against {many} VideoStreams, CPU", lead, cpu)
        yield harness.at_most(f"{where}, copied a further surface", 0, all_of_ours.copied, " bytes")
        if path == "server" and one.added is not None:
            name = f"server: what the channel adds to {few} raw VideoStream, p50"
            yield harness.at_most(name, 0.3, one.added, " ms")


AREA = harness.Area(
    name="frames",
    plan=Plan(),
    quick=Plan(readers=(1, 16), seconds=2.0, warm_up=1.0, repetitions=1, turns=2),
    run=run,
    tables=(
        harness.Table("{path}: CPU ms a frame (x one VideoStream), sent to read in ms", Case),
        harness.Table("{path}: many surfaces against few, in turns", Growth),
    ),
    charts=tuple(
        harness.cost_and_latency(f"frames, {path}", Case, where={"path": path}) for path in LEADS
    ),
)
