"""What a sleeping surface, one that never reads, and a blocked loop cost the other surfaces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ... import harness
from ...signals.publisher import publishing
from . import blocked, sleeping
from .blocked import Blocked
from .sleeping import Sleeping
from .surfaces import Job, Plan

SPARE_SECONDS: Final = 60.0  # a case may take over its measured time
FLAT: Final = 5.0  # megabytes: less than four frames of 720p


def run(plan: Plan, url: str | None, _rivals: list[harness.Rival]) -> harness.Measured:
    """Measure sleeping surfaces and a blocked loop, each case in a fresh process."""
    all_asleep = [harness.Row(harness.Rival("asleep"), plan.surfaces, list[sleeping.Answer]())]
    rooms: list[harness.Row[Blocked]] = harness.rows(map(harness.Rival, blocked.ROOMS))
    with harness.server_for(url) as server:
        room = harness.new_room(server)

        def sleep(_row: harness.Row[sleeping.Answer]) -> sleeping.Answer:
            seconds = plan.warm_up + 2 * plan.awake + plan.asleep + SPARE_SECONDS
            return harness.ask(sleeping.measure, Job(room, plan), seconds)

        def block(row: harness.Row[Blocked]) -> Blocked:
            seconds = plan.warm_up + plan.before + plan.blocked + plan.after + SPARE_SECONDS
            return harness.ask(blocked.measure, Job(room, plan, row.rival.name), seconds)

        with publishing(room, plan.width, plan.height, plan.fps):
            harness.run_rounds("stalls, surfaces", all_asleep, 1, sleep)
            harness.run_rounds("stalls, blocked loop", rooms, 1, block)
    answer = all_asleep[0].answers[0]
    stopped = [case for row in rooms for case in row.answers]
    goals = [*_goals_asleep(plan, answer), *_goals_blocked(plan, stopped)]
    return harness.Measured([answer.awake, answer.asleep, *stopped], goals)


def _goals_asleep(plan: Plan, answer: sleeping.Answer) -> Iterator[harness.Goal]:
    asleep = f"2 of {plan.surfaces + 2} asleep"
    yield harness.at_most(f"{asleep}: the others' p99", 1.2, answer.asleep.p99 / answer.awake.p99)
    yield harness.at_most(f"{asleep}: memory, second half", FLAT, answer.asleep.growth, " MB")
    yield harness.at_most(f"{asleep}: woken, behind the newest", 0, answer.behind, " frames")
    yield harness.at_most(f"{asleep}: received but not accounted for", 0, answer.wrong, " frames")


def _goals_blocked(plan: Plan, stopped: list[Blocked]) -> Iterator[harness.Goal]:
    for case in stopped:
        name = f"loop blocked {plan.blocked:g} s, {case.rival}: back to normal"
        yield harness.at_most(name, 1000, case.back, " ms")


AREA = harness.Area(
    name="stalls",
    plan=Plan(),
    quick=Plan(awake=0.7, asleep=5.0, before=0.6, blocked=0.8, after=1.0, warm_up=0.3),
    run=run,
    tables=(
        harness.Table("sent to read in ms, MB gained in the second half", Sleeping),
        harness.Table("a blocked loop: sent to read in ms, back to normal in ms, MB", Blocked),
    ),
    charts=(
        (
            harness.Bars("stalls: memory, MB", Sleeping, "rss", ours=True),
            harness.Bars("stalls: p99 of the surfaces awake, ms", Sleeping, "p99", ours=True),
        ),
        (
            harness.Bars(
                "stalls: memory at most, blocked loop, MB", Blocked, "rss_peak", ours=True
            ),
            harness.Bars("stalls: normal after a blocked loop, ms", Blocked, "back", ours=True),
        ),
    ),
)
