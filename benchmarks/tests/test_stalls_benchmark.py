"""The stall benchmark counts exactly, and its cases run once, as small as they can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from livelayer_benchmarks.charts import save_charts
from livelayer_benchmarks.frames_recorder import SIZE
from livelayer_benchmarks.report import show
from livelayer_benchmarks.stalls import Blocked, Plan, Sleeping, run_stalls_benchmark
from livelayer_benchmarks.stalls_blocked import back_after
from livelayer_benchmarks.stalls_watching import Seen, Span, missed

MS = 1_000_000


def pictures(*ages: float) -> list[Seen]:
    """Pictures taken every 10 ms, as old as that."""
    return [Seen(10 * MS * number, number, age) for number, age in enumerate(ages)]


def test_gaps_are_counted_across_the_end_of_the_numbers() -> None:
    assert missed([]) == 0
    assert missed([Seen(0, number, 1.0) for number in (SIZE - 2, SIZE - 1, 0, 1)]) == 0
    assert missed([Seen(0, number, 1.0) for number in (SIZE - 2, 1, 4)]) == 4


def test_back_to_normal_is_the_first_timely_picture_that_timely_ones_follow() -> None:
    after = Span(0, 1000 * MS)

    assert back_after(pictures(*[20.0] * 5), 20, after) == 0
    assert back_after(pictures(900, 800, 20, 21, 22, 23, 29), 20, after) == 20
    assert back_after(pictures(20, 900, 20, 60, 20, 20, 20, 20, 20), 20, after) == 40
    assert back_after(pictures(*[31.0] * 9), 20, after) == 1000


@pytest.mark.slow
def test_every_case_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan(
        width=320,
        height=180,
        surfaces=2,
        warm_up=0.2,
        awake=0.4,
        asleep=0.8,
        before=0.4,
        blocked=0.4,
        after=0.8,
    )

    result = run_stalls_benchmark(plan)

    awake, asleep = (case for case in result.cases if isinstance(case, Sleeping))
    assert 0 < awake.p50 <= awake.p99
    assert 0 < asleep.p50 <= asleep.p99
    assert asleep.slept is not None
    assert asleep.slept > 10
    blocked = [case for case in result.cases if isinstance(case, Blocked)]
    assert [case.rival for case in blocked] == ["LiveKitRoom", "IsolatedRoom"]
    assert all(case.missed > 0 and case.rss_peak > 0 for case in blocked)
    exact = {goal.name.partition(": ")[2]: goal.met for goal in result.goals}
    assert exact["received but not accounted for"]
    assert exact["woken, behind the newest"]
    builtins: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(result))
    show("stalls", builtins)
    assert "IsolatedRoom" in capsys.readouterr().out
    save_charts(tmp_path / "stalls.svg", {"stalls": builtins})
    assert (tmp_path / "stalls.svg").stat().st_size > 1000
