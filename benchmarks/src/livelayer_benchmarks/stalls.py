"""What a sleeping surface, one that never reads, and a blocked loop cost the other surfaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from . import publisher, stalls_blocked, stalls_sleeping
from .child import Ready
from .places import Place, new_room, server_for
from .processes import started
from .progress import Step, steps
from .records import Goal, Result, at_most, surroundings
from .stalls_blocked import RoomKind

PUBLISH_SECONDS: Final = 30.0  # for the publisher to join and publish
SPARE_SECONDS: Final = 60.0  # a case may take over its measured time
ROOMS: Final[tuple[RoomKind, ...]] = ("LiveKitRoom", "IsolatedRoom")
FLAT: Final = 5.0  # megabytes: less than four pictures of 720p


class Plan(msgspec.Struct, frozen=True):
    """How much to measure, seconds each."""

    width: int = 1280
    """A multiple of 32."""
    height: int = 720
    fps: int = 30
    surfaces: int = 4
    """Those that stay awake."""
    warm_up: float = 4.0
    """In every process, from the first pictures on."""
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
    """Pictures that came while the sleeper slept."""
    age: float | None
    """From sent to read, of the picture it woke on."""


class Blocked(msgspec.Struct, frozen=True, tag_field="kind", tag="blocked"):
    """A blocked loop with one kind of room; see `stalls_blocked.Answer`."""

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


class StallsBenchmark(Result[Plan, Sleeping | Blocked], frozen=True, kw_only=True):
    """The result of one run."""


def run_stalls_benchmark(plan: Plan | None = None, url: str | None = None) -> StallsBenchmark:
    """Measure sleeping surfaces and a blocked loop, each case in a fresh process.

    Args:
        plan: how much to measure; by default about three minutes.
        url: a real server; an embedded one if None.

    Raises:
        BrokenError: a process failed.
        ConfigError: `url` without LIVEKIT_API_KEY and LIVEKIT_API_SECRET.
    """
    plan = plan or Plan()
    about = surroundings("real" if url else "embedded")
    with steps("stalls", 1 + len(ROOMS)) as step, server_for(url) as server:
        place = new_room(server)
        job = publisher.Job(place, plan.width, plan.height, plan.fps)
        with started("livelayer_benchmarks.publisher", job) as sender:
            sender.answer(Ready, PUBLISH_SECONDS)
            slept = _sleep(plan, place, step)
            blocked = [_block(plan, place, room, step) for room in ROOMS]
    cases: list[Sleeping | Blocked] = [*_sleeping(plan, slept), *blocked]
    goals = [*_goals_asleep(plan, slept), *_goals_blocked(plan, blocked)]
    return StallsBenchmark(surroundings=about, plan=plan, cases=cases, goals=goals, skipped={})


def _sleep(plan: Plan, place: Place, step: Step) -> stalls_sleeping.Answer:
    step("surfaces asleep")
    job = stalls_sleeping.Job(place, plan.surfaces, plan.fps, plan.warm_up, plan.awake, plan.asleep)
    seconds = plan.warm_up + 2 * plan.awake + plan.asleep + SPARE_SECONDS
    with started("livelayer_benchmarks.stalls_sleeping", job) as process:
        answer: stalls_sleeping.Answer = process.answer(stalls_sleeping.Answer, seconds)
    return answer


def _block(plan: Plan, place: Place, room: RoomKind, step: Step) -> Blocked:
    step(f"loop blocked, {room}")
    job = stalls_blocked.Job(
        place,
        room,
        plan.surfaces,
        plan.fps,
        plan.warm_up,
        plan.before,
        plan.blocked,
        plan.after,
    )
    seconds = plan.warm_up + plan.before + plan.blocked + plan.after + SPARE_SECONDS
    with started("livelayer_benchmarks.stalls_blocked", job) as process:
        answer: stalls_blocked.Answer = process.answer(stalls_blocked.Answer, seconds)
    return Blocked(rival=room, readers=plan.surfaces, **msgspec.structs.asdict(answer))


def _sleeping(plan: Plan, answer: stalls_sleeping.Answer) -> Iterator[Sleeping]:
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


def _goals_asleep(plan: Plan, answer: stalls_sleeping.Answer) -> Iterator[Goal]:
    asleep = f"2 of {plan.surfaces + 2} asleep"
    yield at_most(f"{asleep}: the others' p99", 1.2, answer.asleep.p99 / answer.awake.p99)
    yield at_most(f"{asleep}: memory, second half", FLAT, answer.asleep.growth, " MB")
    yield at_most(f"{asleep}: woken, behind the newest", 0, answer.behind, " pictures")
    yield at_most(f"{asleep}: received but not accounted for", 0, answer.wrong, " pictures")


def _goals_blocked(plan: Plan, cases: Sequence[Blocked]) -> Iterator[Goal]:
    for case in cases:
        name = f"loop blocked {plan.blocked:g} s, {case.rival}: back to normal"
        yield at_most(name, 1000, case.back, " ms")
