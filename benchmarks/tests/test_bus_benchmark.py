"""The benchmark of the bus runs: every rival once, with next to no work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from livelayer_benchmarks.harness import Area, Result
from livelayer_benchmarks.harness.report import show
from livelayer_benchmarks.workloads.bus.area import AREA, Plan

TINY = Plan(readers=(1, 16), deliveries=64, burst=4, small_burst=2, wake_turns=5, repetitions=1)


def test_every_rival_runs_and_is_shown(
    capsys: pytest.CaptureFixture[str],
    read_result: Callable[[Area, bytes], Result[Any, Any]],
) -> None:
    result = AREA.measure(TINY)
    measured = {(case.kind, case.readers, case.rival) for case in result.cases}
    names = {case.rival for case in result.cases} | set(result.skipped)
    assert len(names) == 12
    for kind, readers in (("fan_out", 1), ("fan_out", 16), ("fan_out_text", 16)):
        for rival in ("asyncio.Queue", "livelayer-bus, by item", "livelayer-bus, batches"):
            assert (kind, readers, rival) in measured
    assert ("wake", 1, "bare future") in measured
    assert [goal.wanted for goal in result.goals] == [
        ">= 2x",
        ">= 1x",
        ">= 8x",
        ">= 10x",
        "<= 1.3x",
    ]
    assert read_result(AREA, msgspec.json.encode(result)) == result
    show(AREA.tables, result)
    assert "asyncio.Queue" in capsys.readouterr().out
    for reason in result.skipped.values():
        assert "is not installed" in reason
