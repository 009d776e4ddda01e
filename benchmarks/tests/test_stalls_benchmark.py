"""The stall benchmark counts exactly."""

from __future__ import annotations

from livelayer_benchmarks.signals.frame_recorder import SIZE
from livelayer_benchmarks.workloads.stalls.blocked import back_after
from livelayer_benchmarks.workloads.stalls.surfaces import ReadFrame, Span, missed

MS = 1_000_000


def frames(*ages: float) -> list[ReadFrame]:
    """Frames read every 10 ms, as old as that."""
    return [ReadFrame(10 * MS * number, number, age) for number, age in enumerate(ages)]


def test_gaps_are_counted_where_the_numbers_wrap_around() -> None:
    assert missed([]) == 0
    assert missed([ReadFrame(0, number, 1.0) for number in (SIZE - 2, SIZE - 1, 0, 1)]) == 0
    assert missed([ReadFrame(0, number, 1.0) for number in (SIZE - 2, 1, 4)]) == 4


def test_back_to_normal_is_the_first_timely_frame_that_timely_ones_follow() -> None:
    after = Span(0, 1000 * MS)

    assert back_after(frames(*[20.0] * 5), 20, after) == 0
    assert back_after(frames(900, 800, 20, 21, 22, 23, 29), 20, after) == 20
    assert back_after(frames(20, 900, 20, 60, 20, 20, 20, 20, 20), 20, after) == 40
    assert back_after(frames(*[31.0] * 9), 20, after) == 1000
