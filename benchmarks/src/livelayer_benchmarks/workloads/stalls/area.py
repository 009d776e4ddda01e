"""What a sleeping surface, one that never reads, and a blocked loop cost the other surfaces."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import msgspec

from ... import harness
from ...signals.publisher import publishing
from . import blocked, sleeping

SPARE_SECONDS: Final = 60.0  # a case may take over its measured time
ROOMS: Final[tuple[blocked.RoomKind, ...]] = ("LiveKitRoom", "IsolatedRoom")
FLAT: Final = 5.0  # megabytes: less than four frames of 720p


class Plan(msgspec.Struct, frozen=True):
    """How much to measure, seconds each: about three minutes."""

    width: int = 1280
    """A multiple of 32."""
    height: int = 720
    fps: int = 30
    surfaces: int = 4
    """Those that stay awake."""
    warm_up: float = 4.0
    """In every process, from the first frames on."""
    awake: float = 30.0
    """Before the sleepers sleep, and again after."""
    asleep: float = 60.0
    before: float = 3.0
    blocked: float = 5.0
    after: float = 4.0


class Sleeping(msgspec.Struct, frozen=True, tag_field="kind", tag="sleeping"):
    """The surfaces that are awake, alone or beside two more: times in milliseconds.

    One of the two waits for something else with a subscription open, the other never reads it.
    """

    rival: str
    readers: int
    p50: float
    p95: float
    p99: float
    """Sent to read, of the worst surface."""
    growth: float
    """Megabytes over the second half."""
    rss: float
    """Megabytes at the end."""
    slept: int | None
    """Frames that came while the sleeper slept."""
    age: float | None
    """From sent to read, of the frame it woke on."""


class Blocked(msgspec.Struct, frozen=True, tag_field="kind", tag="blocked"):
    """A blocked loop with one kind of room; see `blocked.Answer`."""

    rival: str
    readers: int
    p50: float
    p50_after: float
    oldest: float
    back: float
    missed: int
    rss_before: float
    rss_peak: float
    rss_after: float


def run(plan: Plan, url: str | None = None) -> harness.Result[Plan, Sleeping | Blocked]:
    """Measure sleeping surfaces and a blocked loop, each case in a fresh process."""
    about = harness.environment("real" if url else "embedded")
    cases: list[Sleeping | Blocked] = []
    goals: list[harness.Goal] = []

    def sleep(room: harness.RoomRef) -> None:
        answer = _sleep(plan, room)
        cases.extend(_sleeping(plan, answer))
        goals.extend(_goals_asleep(plan, answer))

    def block(room: harness.RoomRef, kind: blocked.RoomKind) -> None:
        case = _block(plan, room, kind)
        cases.append(case)
        name = f"loop blocked {plan.blocked:g} s, {kind}: back to normal"
        goals.append(harness.at_most(name, 1000, case.back, " ms"))

    with harness.server_for(url) as server:
        room = harness.new_room(server)
        steps = [
            harness.Step("surfaces asleep", partial(sleep, room)),
            *(harness.Step(f"loop blocked, {kind}", partial(block, room, kind)) for kind in ROOMS),
        ]
        with publishing(room, plan.width, plan.height, plan.fps):
            harness.run_rounds("stalls", steps, 1, lambda step: step.measure())
    return harness.Result(environment=about, plan=plan, cases=cases, goals=goals, skipped={})


def _sleep(plan: Plan, room: harness.RoomRef) -> sleeping.Answer:
    job = sleeping.Job(room, plan.surfaces, plan.fps, plan.warm_up, plan.awake, plan.asleep)
    seconds = plan.warm_up + 2 * plan.awake + plan.asleep + SPARE_SECONDS
    return harness.ask(sleeping.measure, job, sleeping.Answer, seconds)


def _block(plan: Plan, room: harness.RoomRef, kind: blocked.RoomKind) -> Blocked:
    job = blocked.Job(
        room, kind, plan.surfaces, plan.fps, plan.warm_up, plan.before, plan.blocked, plan.after
    )
    seconds = plan.warm_up + plan.before + plan.blocked + plan.after + SPARE_SECONDS
    answer = harness.ask(blocked.measure, job, blocked.Answer, seconds)
    return Blocked(rival=kind, readers=plan.surfaces, **msgspec.structs.asdict(answer))


def _sleeping(plan: Plan, answer: sleeping.Answer) -> Iterator[Sleeping]:
    awake, asleep = answer.awake, answer.asleep
    surfaces = plan.surfaces
    yield Sleeping(
        rival=f"{surfaces} awake",
        readers=surfaces,
        **msgspec.structs.asdict(awake),
        slept=None,
        age=None,
    )
    yield Sleeping(
        rival=f"{surfaces} awake, 2 asleep",
        readers=surfaces + 2,
        **msgspec.structs.asdict(asleep),
        slept=answer.slept,
        age=answer.age,
    )


def _goals_asleep(plan: Plan, answer: sleeping.Answer) -> Iterator[harness.Goal]:
    asleep = f"2 of {plan.surfaces + 2} asleep"
    yield harness.at_most(f"{asleep}: the others' p99", 1.2, answer.asleep.p99 / answer.awake.p99)
    yield harness.at_most(f"{asleep}: memory, second half", FLAT, answer.asleep.growth, " MB")
    yield harness.at_most(f"{asleep}: woken, behind the newest", 0, answer.behind, " frames")
    yield harness.at_most(f"{asleep}: received but not accounted for", 0, answer.wrong, " frames")


_SLEEPING = (
    harness.RIVAL,
    *harness.LATENCY,
    harness.Column("growth", "grows MB", ".2f"),
    harness.RSS,
    harness.Column("slept", "slept over"),
    harness.Column("age", "woke on", ".1f"),
)
_BLOCKED = (
    harness.RIVAL,
    harness.Column("p50", "before", ".1f"),
    harness.Column("p50_after", "after", ".1f"),
    harness.Column("oldest", "oldest", ".1f"),
    harness.Column("back", "back in", ".0f"),
    harness.Column("missed", "lost"),
    harness.Column("rss_before", "MB before", ".0f"),
    harness.Column("rss_peak", "peak", ".0f"),
    harness.Column("rss_after", "after", ".0f"),
)
_ASLEEP, _STOPPED = {"kind": "sleeping"}, {"kind": "blocked"}

AREA = harness.Area(
    plan=Plan(),
    quick=Plan(awake=0.7, asleep=5.0, before=0.6, blocked=0.8, after=1.0, warm_up=0.3),
    run=run,
    tables=(
        harness.Table("sent to read in ms, MB gained in the second half", _SLEEPING, _ASLEEP),
        harness.Table(
            "a blocked loop: sent to read in ms, back to normal in ms, MB", _BLOCKED, _STOPPED
        ),
    ),
    charts=(
        (
            harness.Bars("stalls: memory, MB", "rss", _ASLEEP, ours=True),
            harness.Bars("stalls: p99 of the surfaces awake, ms", "p99", _ASLEEP, ours=True),
        ),
        (
            harness.Bars(
                "stalls: memory at most, blocked loop, MB", "rss_peak", _STOPPED, ours=True
            ),
            harness.Bars("stalls: normal after a blocked loop, ms", "back", _STOPPED, ours=True),
        ),
    ),
)
