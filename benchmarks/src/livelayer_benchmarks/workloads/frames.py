"""The frame path beside the SDK's: CPU, latency and copies against the number of surfaces.

Each case has a process of its own. What further surfaces cost is also measured in turns, few and
many of them over one connection: two connections are never equally late, since a jitter buffer
settles a few milliseconds apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from importlib import import_module
from typing import Final, Protocol, cast

import msgspec

from .. import harness
from ..signals.frame_recorder import Attach, FrameStatistics, OnFrame, Recorder
from ..signals.publisher import publishing

OURS: Final = "livelayer-bus"
SDK: Final = "n VideoStreams"
LEADS: Final = {"local": 8.0, "server": 3.0}  # of ours over as many VideoStreams, CPU
LIMITS: Final = {"local": 1.25, "server": 1.1}  # of the most surfaces, in times of the fewest
BEGIN_SECONDS: Final = 20.0  # for every reader to have its first frame
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
    rival: str
    readers: int
    cpu: float
    """Of the surfaces' process for each frame shown; on the local path the sender's too."""
    ratio: float
    """`cpu` in times of one VideoStream on the same path."""
    p50: float
    """Sent to read; of the worst surface."""
    p95: float
    p99: float
    added: float | None
    """Median from the SDK's stream to the surface, where a channel lies between."""
    dropped: float
    """Percent of the frames that the worst surface did not get."""
    copied: int
    """Bytes copied for each further surface and frame."""
    rss: float
    """Megabytes."""
    size: str
    """As it was received."""
    damaged: int
    """Frames whose stamp could not be read."""


class Growth(msgspec.Struct, frozen=True, tag_field="kind", tag="turns"):
    """Many surfaces of ours in times of few, each turn against its neighbours: medians."""

    path: str
    rival: str
    few: int
    many: int
    cpu: float
    """CPU a frame."""
    p50: float
    """Sent to read, of the worst surface."""
    turns: int
    """Comparisons that these are the medians of."""


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    rival: str
    """A module that `livelayer_benchmarks.rivals.frames` describes."""
    readers: int
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


class FramesRival(Protocol):
    """The functions of a rival's module; only ours can change the readers of a connection."""

    def readers(self, job: Job, on_frame: OnFrame, /) -> AbstractAsyncContextManager[None]: ...

    def connected(self, job: Job, /) -> AbstractAsyncContextManager[Attach]: ...


async def measure(job: Job, send: harness.Send, ended: asyncio.Event) -> None:
    """Let the rival's readers read, and measure once."""
    rival = cast(FramesRival, import_module(job.rival))
    recorder = Recorder(job.readers)
    async with rival.readers(job, recorder.on_frame):
        answer = await _watch(job.plan, recorder)
    send(answer)


class TurnsJob(msgspec.Struct, frozen=True):
    """What one process measures in turns."""

    job: Job
    """Of each turn; its number of readers is not used."""
    readers: tuple[int, ...]
    """Of one turn after the other."""


class TurnsAnswer(msgspec.Struct, frozen=True):
    """The answers in the turns' order."""

    answers: list[Answer]


async def measure_turns(job: TurnsJob, send: harness.Send, ended: asyncio.Event) -> None:
    """Measure with one number of readers after the other, over one connection."""
    rival = cast(FramesRival, import_module(job.job.rival))
    answers: list[Answer] = []
    async with rival.connected(job.job) as attach:
        for count in job.readers:
            recorder = Recorder(count)
            async with attach(count, recorder.on_frame):
                answers.append(await _watch(job.job.plan, recorder))
    send(TurnsAnswer(answers))


async def _watch(plan: Plan, recorder: Recorder) -> Answer:
    """Measure after the warm-up, while the readers read."""
    async with asyncio.timeout(BEGIN_SECONDS):
        while not recorder.begun:  # noqa: ASYNC110 - readers stay without a hook
            await asyncio.sleep(0.05)
    await asyncio.sleep(plan.warm_up)
    first, used = recorder.start(), harness.cpu_seconds()
    await asyncio.sleep(plan.seconds)
    used, last, read = harness.cpu_seconds() - used, recorder.newest(), recorder.read
    rss = harness.resident_mb()
    await asyncio.sleep(GRACE_SECONDS)
    cpu = 1000 * used / max(1.0, read)
    return Answer(recorder.result(first, last), round(cpu, 3), round(rss, 1))


class _Turns(harness.Row[list[Answer]], frozen=True):
    """A rival that is measured in turns, one list of answers a repetition."""

    few: int

    @property
    def label(self) -> str:
        return f"{self.rival.name}, {self.few} and {self.readers} in turns"


def run(
    plan: Plan, url: str | None = None, modules: Sequence[str] = ()
) -> harness.Result[Plan, Case | Growth]:
    """Measure the rivals side by side: each case in a fresh process, repetitions interleaved."""
    rivals, skipped = harness.load_rivals(modules or harness.rivals_of("frames"))
    about = harness.environment("real" if url else "embedded", rivals)
    measured: list[harness.Row[Answer]] = []
    turned: list[_Turns] = []
    # The local path first, while no publisher takes its share of the machine.
    for path in LEADS:
        here = [rival for rival in rivals if rival.part == path]
        side_by_side: list[harness.Row[Answer]] = harness.rows(here, plan.readers)
        few, many = min(plan.readers), max(plan.readers)
        turns = [_Turns(rival, many, [], few) for rival in here if rival.name == OURS]
        with ExitStack() as stack:
            room: harness.RoomRef | None = None
            if path == "server" and here:
                room = harness.new_room(stack.enter_context(harness.server_for(url)))
                stack.enter_context(publishing(room, plan.width, plan.height, plan.fps))

            def measure_row(
                row: harness.Row[Answer] | _Turns, room: harness.RoomRef | None = room
            ) -> None:
                _measure(row, plan, room)

            everything: list[harness.Row[Answer] | _Turns] = [*side_by_side, *turns]
            harness.run_rounds(f"frames, {path}", everything, plan.repetitions, measure_row)
        measured += side_by_side
        turned += turns
    growths = [
        growth
        for row in turned
        if (growth := growth_of(row.rival, row.few, row.readers, row.answers))
    ]
    cases = list(_cases(measured))
    goals = [*_growth_goals(growths), *_goals(cases, plan)]
    return harness.Result(
        environment=about, plan=plan, cases=[*cases, *growths], goals=goals, skipped=skipped
    )


def _measure(row: harness.Row[Answer] | _Turns, plan: Plan, room: harness.RoomRef | None) -> None:
    job = Job(row.rival.module, row.readers, plan, room)
    seconds = plan.warm_up + plan.seconds
    if isinstance(row, _Turns):
        order = (row.few, *(count for _ in range(plan.turns) for count in (row.readers, row.few)))
        turns = TurnsJob(job, order)
        answer = harness.ask(
            measure_turns, turns, TurnsAnswer, seconds * len(order) + SPARE_SECONDS
        )
        row.answers.append(answer.answers)
    else:
        row.answers.append(harness.ask(measure, job, Answer, seconds + SPARE_SECONDS))


def growth_of(
    rival: harness.Rival, few: int, many: int, repetitions: Sequence[Sequence[Answer]]
) -> Growth | None:
    """Sum up the turns of any number of processes; each begins and ends with few."""
    cpus = list(_turn_ratios(repetitions, lambda answer: answer.cpu))
    p50s = list(_turn_ratios(repetitions, lambda answer: answer.frames.p50))
    if not cpus or not p50s:
        return None
    return Growth(
        rival.part, rival.name, few, many, harness.median(cpus), harness.median(p50s), len(cpus)
    )


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
        base = min(
            (one for one in measured if (one.rival.part, one.rival.name) == (row.rival.part, SDK)),
            key=lambda one: one.readers,
            default=row,
        )
        frames = [answer.frames for answer in row.answers]
        added = [one.added for one in frames if one.added is not None]
        cpus = [answer.cpu for answer in row.answers]
        yield Case(
            path=row.rival.part,
            rival=row.rival.name,
            readers=row.readers,
            cpu=harness.median(cpus),
            ratio=harness.median_of_ratios(cpus, [answer.cpu for answer in base.answers]),
            p50=harness.median(one.p50 for one in frames),
            p95=harness.median(one.p95 for one in frames),
            p99=harness.median(one.p99 for one in frames),
            added=harness.median(added, 4) if added else None,
            dropped=harness.median((100 * one.dropped / max(1, one.sent) for one in frames), 1),
            copied=max(one.copied for one in frames),
            rss=harness.median((answer.rss for answer in row.answers), 1),
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


_COLUMNS = (
    harness.RIVAL,
    harness.READERS,
    harness.Column("cpu", "CPU", ".2f"),
    harness.RATIO,
    *harness.LATENCY,
    harness.Column("added", "adds", ".3f"),
    harness.Column("dropped", "lost", ".1f", "%"),
    harness.Column("copied", "copied", ".2f", "MB", 1e-6),
    harness.RSS,
)
_TURNS = (
    harness.RIVAL,
    harness.Column("few", "few"),
    harness.Column("many", "many"),
    harness.Column("cpu", "CPU", ".2f", "x"),
    harness.Column("p50", "p50", ".2f", "x"),
)

AREA = harness.Area(
    plan=Plan(),
    quick=Plan(readers=(1, 16), seconds=2.0, warm_up=1.0, repetitions=1, turns=2),
    run=run,
    tables=(
        harness.Table(
            "{path}: CPU ms a frame (x one VideoStream), sent to read in ms",
            _COLUMNS,
            {"kind": "rivals"},
        ),
        harness.Table("{path}: many surfaces against few, in turns", _TURNS, {"kind": "turns"}),
    ),
    charts=tuple(
        (
            harness.Lines(
                f"frames, {path}: CPU, ms a frame", ("cpu",), {"kind": "rivals", "path": path}
            ),
            harness.Lines(
                f"frames, {path}: p50 and (dashed) p99, ms",
                ("p50", "p99"),
                {"kind": "rivals", "path": path},
            ),
        )
        for path in LEADS
    ),
)
