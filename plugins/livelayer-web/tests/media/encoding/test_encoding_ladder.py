"""Which quality a viewer gets, over any course of reports."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livelayer_web.media import LADDER
from livelayer_web.media.quality import (
    DOWN_AFTER,
    SETTLE,
    SHARE_UP_AFTER,
    SHARES,
    SMALLER_AFTER,
    UP_AFTER,
    UP_AFTER_MOST,
    QualityChoice,
    SharedBitrate,
)

from livelayer_bus.errors import MisuseError

BEST, MIDDLE, LEAST = LADDER
PLENTY = 10_000_000  # bit/s


class Link:
    """A viewer's choice on a clock, fed with the same report once a second."""

    def __init__(self) -> None:
        self.now = 100.0
        self.choice = QualityChoice(LADDER, now=self.now)
        self.changes = 0
        self.last = self.choice.choose(self.now)

    def last_for(
        self,
        seconds: float,
        *,
        bandwidth: int | None = None,
        sent: int | None = None,
        loss: float | None = None,
    ) -> str:
        """Let that many seconds of reports pass; return the quality at the end."""
        for _ in range(round(seconds)):
            self.now += 1
            self.choice.report(now=self.now, bandwidth=bandwidth, sent=sent, loss=loss)
            quality = self.choice.choose(self.now)
            self.changes += quality != self.last
            self.last = quality
        return self.last.name


def test_the_best_is_tried_first_and_a_clean_link_keeps_it() -> None:
    link = Link()
    assert link.last_for(60, bandwidth=PLENTY, loss=0.0) == "720p"
    assert link.changes == 0


@pytest.mark.parametrize(
    ("height", "name"),
    [(None, "720p"), (2000, "720p"), (720, "720p"), (415, "720p"), (400, "360p"), (100, "180p")],
)
def test_a_page_gets_no_more_than_it_shows(height: int | None, name: str) -> None:
    link = Link()
    link.choice.want(height, now=link.now)
    assert link.last_for(SMALLER_AFTER + 1, bandwidth=PLENTY) == name


def test_larger_counts_at_once_and_smaller_after_a_while() -> None:
    link = Link()
    link.choice.want(100, now=link.now)
    assert link.choice.choose(link.now + SMALLER_AFTER - 0.1) is BEST
    assert link.choice.choose(link.now + SMALLER_AFTER) is LEAST
    link.choice.want(720, now=link.now + 10)
    assert link.choice.choose(link.now + 10) is BEST


def test_a_size_passed_through_changes_nothing() -> None:
    link = Link()
    for _ in range(20):
        link.choice.want(100, now=link.now)
        link.choice.choose(link.now)
        link.now += SMALLER_AFTER / 2
        link.choice.want(720, now=link.now)
        assert link.choice.choose(link.now) is BEST
        link.now += SMALLER_AFTER / 2


def test_a_narrow_link_goes_straight_to_what_it_carries() -> None:
    link = Link()
    assert link.last_for(SETTLE + DOWN_AFTER + 1, bandwidth=150_000) == "180p"
    assert link.changes == 1


def test_an_estimate_that_still_rises_is_waited_for() -> None:
    link = Link()
    assert link.last_for(SETTLE - 1, bandwidth=300_000) == "720p"
    assert link.last_for(60, bandwidth=PLENTY) == "720p"


def test_heavy_loss_goes_a_step_down_at_once_and_one_bad_report_does_not() -> None:
    link = Link()
    link.last_for(1, loss=0.3)
    assert link.last_for(5, loss=0.0) == "720p"
    assert link.last_for(DOWN_AFTER + 1, loss=0.3) == "360p"
    assert link.last_for(DOWN_AFTER + 1, loss=0.3) == "180p"


def test_an_estimate_bound_to_what_is_sent_does_not_hold_a_viewer_down() -> None:
    # A receiver cannot estimate more than about one and a half times what it is sent.
    link = Link()
    link.last_for(SETTLE + DOWN_AFTER + 1, bandwidth=500_000)
    assert link.last.name == "360p"
    assert link.last_for(UP_AFTER + 2, bandwidth=MIDDLE.bitrate * 3 // 2) == "720p"


def test_a_picture_that_hardly_moves_is_not_taken_for_a_narrow_link() -> None:
    # It takes 200 kbit/s, and so no estimate is above 300.
    link = Link()
    assert link.last_for(60, bandwidth=300_000, sent=200_000, loss=0.0) == "720p"
    assert link.choice.limit is None
    assert link.changes == 0


def test_the_limit_is_told_only_while_the_link_is_overloaded() -> None:
    link = Link()
    link.last_for(SETTLE + 1, bandwidth=1_300_000, sent=1_700_000)
    assert link.choice.limit == 1_300_000
    assert link.last is BEST  # its encoder can go down to that
    link.last_for(1, bandwidth=1_300_000, sent=1_200_000)
    assert link.choice.limit is None


def test_tries_that_fail_become_rare() -> None:
    link = Link()
    tries = 0
    for _ in range(3600):
        before = link.last
        sent = link.last.bitrate
        link.last_for(1, bandwidth=min(700_000, sent * 3 // 2), sent=sent, loss=0.0)
        tries += before is MIDDLE and link.last is BEST
    assert tries <= 4 + 3600 / UP_AFTER_MOST
    assert link.last in (MIDDLE, BEST)


reports = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 5_000_000)),
        st.one_of(st.none(), st.floats(0, 1)),
        st.one_of(st.none(), st.integers(1, 2000)),
        st.booleans(),
    ),
    max_size=120,
)


@given(reports)
def test_any_course_moves_one_step_up_at_a_time_and_not_too_often(
    course: list[tuple[int | None, float | None, int | None, bool]],
) -> None:
    now = 0.0
    choice = QualityChoice(LADDER, now=now)
    changed_at: float | None = None
    shrinks = False  # a smaller picture may still be due, whatever the link does
    last = choice.choose(now)
    for bandwidth, loss, height, resized in course:
        now += 1
        if resized:
            choice.want(height, now=now)
            shrinks = True
        choice.report(now=now, bandwidth=bandwidth, loss=loss)
        quality = choice.choose(now)
        assert quality in LADDER
        if not resized and quality is not last:
            up = LADDER.index(quality) < LADDER.index(last)
            assert not up or LADDER.index(last) - LADDER.index(quality) == 1
            if changed_at is not None and not up and now - changed_at < DOWN_AFTER:
                assert shrinks
                shrinks = False
        if quality is not last:
            changed_at = now
        last = quality
    # Whatever went before: a dead link ends at the least, a clean one gets back to the best.
    for _ in range(60):
        now += 1
        choice.report(now=now, loss=1.0)
        last = choice.choose(now)
    assert last is LEAST
    choice.want(None, now=now)
    for _ in range(round(4 * UP_AFTER_MOST)):
        now += 1
        choice.report(now=now, bandwidth=PLENTY, loss=0.0)
        last = choice.choose(now)
    assert last is BEST


@given(st.lists(st.one_of(st.none(), st.integers(0, 3_000_000)), min_size=1, max_size=100))
def test_a_shared_bitrate_stays_within_its_share_and_falls_at_once(
    course: list[int | None],
) -> None:
    share = SharedBitrate(BEST.bitrate)
    changes: list[float] = []
    before = share.bitrate
    for second, slowest in enumerate(course):
        bitrate = share.adapt(slowest, now=float(second))
        assert bitrate in [round(BEST.bitrate * part) for part in SHARES]
        if bitrate != before:
            changes.append(second)
        before = bitrate
    assert all(later - earlier >= 2 for earlier, later in pairwise(changes))
    for second in range(len(course), len(course) + 60):
        share.adapt(None, now=float(second))
    assert share.bitrate == BEST.bitrate


@given(st.lists(st.floats(0.3, 2.0), min_size=1, max_size=600))
def test_a_jittery_estimate_steps_a_shared_bitrate_seldom(jitter: list[float]) -> None:
    """Each step costs every viewer a key frame: ten reports a second make no more of them."""
    share, steps = SharedBitrate(BEST.bitrate), [BEST.bitrate]
    for number, part in enumerate(jitter):
        bitrate = share.adapt(round(BEST.bitrate * part), now=number / 10)
        if bitrate != steps[-1]:
            steps.append(bitrate)
    ups = int(len(jitter) / 10 / SHARE_UP_AFTER)
    assert len(steps) - 1 <= 2 * ups + len(SHARES) - 1


def test_a_ladder_without_a_rung_is_refused() -> None:
    with pytest.raises(MisuseError):
        QualityChoice((), now=0.0)
