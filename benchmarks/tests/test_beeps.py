"""Beeps are heard when they begin, and each delay belongs to the beep before."""

from __future__ import annotations

from livelayer_benchmarks.beeps import EVERY, Beeper, Listener, delays

MS = 1_000_000


def test_each_beep_is_heard_once_after_it_was_sent() -> None:
    beeper, listener = Beeper(10), Listener()
    for _ in range(3 * EVERY):
        listener.hear(memoryview(beeper.next_frame()).cast("h"))

    # The first frame is loud: whether it is a beep's beginning cannot be told.
    assert len(beeper.sent_ns) == 3
    assert len(listener.heard_ns) == 2
    assert listener.frames == 3 * EVERY
    later = zip(listener.heard_ns, list(beeper.sent_ns)[1:], strict=True)
    assert all(heard >= sent for heard, sent in later)


def test_a_delay_counts_from_the_newest_beep_before() -> None:
    sent = [0, 500 * MS, 1000 * MS]

    assert delays(sent, [1020 * MS, 40 * MS, 530 * MS]) == [20, 30, 40]


def test_what_was_heard_before_the_first_beep_has_no_delay() -> None:
    assert delays([500 * MS], [400 * MS]) == []
