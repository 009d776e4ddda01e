"""Beeps are detected where they begin, and each delay belongs to the beep before."""

from __future__ import annotations

from livelayer_benchmarks.signals.beeps import EVERY, BeepDetector, Beeper, delays

MS = 1_000_000


def test_each_beep_is_detected_once_after_it_was_sent() -> None:
    beeper, detector = Beeper(10), BeepDetector()
    for _ in range(3 * EVERY):
        detector.feed(memoryview(beeper.next_frame()).cast("h"))

    # The first frame is loud: it may be the middle of a beep.
    assert len(beeper.sent_ns) == 3
    assert len(detector.detected_ns) == 2
    assert detector.frames == 3 * EVERY
    later = zip(detector.detected_ns, list(beeper.sent_ns)[1:], strict=True)
    assert all(detected >= sent for detected, sent in later)


def test_a_delay_counts_from_the_newest_beep_before() -> None:
    sent = [0, 500 * MS, 1000 * MS]

    assert delays(sent, [1020 * MS, 40 * MS, 530 * MS]) == [20, 30, 40]


def test_what_was_detected_before_the_first_beep_has_no_delay() -> None:
    assert delays([500 * MS], [400 * MS]) == []
