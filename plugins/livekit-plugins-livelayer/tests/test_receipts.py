"""What a bridge remembers of the messages that it confirmed: a law, and its bounds."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from livekit.plugins.livelayer.receipts import (
    MAX_LINES,
    MAX_OWN,
    MAX_OWN_LINES,
    MAX_SESSIONS,
    Receipts,
    TypedLines,
    confirmed_id,
)

from livelayer_bus.rooms.names import CONFIRM_TOPIC, CONFIRM_WINDOW


def session(number: int) -> str:
    return f"{number:032x}"


@pytest.mark.parametrize("seed", range(20))
def test_what_a_session_sends_again_is_known_and_nothing_else_is(seed: int) -> None:
    """Against a memory without a bound, for numbers in the window."""
    dice, receipts = random.Random(seed), Receipts()
    known: set[int] = set()
    newest = dice.choice([1, 5_000])
    for _ in range(5_000):
        newest += dice.choice([0, 0, 1, 1, 2, 700])
        number = max(1, newest - dice.choice([0, 1, 30, CONFIRM_WINDOW - 1]))
        assert receipts.add(f"{session(1)}.{number}", "user") == (number not in known)
        known.add(number)
        newest = max(newest, number)


def test_behind_the_window_everything_counts_as_known() -> None:
    receipts = Receipts()
    assert receipts.add(f"{session(1)}.{CONFIRM_WINDOW + 1}", "user")
    assert not receipts.add(f"{session(1)}.1", "user")
    assert receipts.add(f"{session(1)}.2", "user")


def test_a_message_that_was_not_taken_is_new_again() -> None:
    receipts = Receipts()
    for number in (1, 2, 3):
        assert receipts.add(f"{session(1)}.{number}", "user")
    receipts.forget(f"{session(1)}.2")
    assert [receipts.add(f"{session(1)}.{number}", "user") for number in (1, 2, 3)] == [
        False,
        True,
        False,
    ]
    receipts.forget(f"{session(2)}.1")  # never seen


def test_a_session_is_known_under_its_next_identity() -> None:
    receipts = Receipts()
    assert receipts.add(f"{session(1)}.1", "before")
    assert not receipts.add(f"{session(1)}.1", "after the rejoin")


def test_one_sender_cannot_displace_what_others_sent() -> None:
    receipts = Receipts()
    assert receipts.add(f"{session(1)}.1", "person")
    for number in range(2, 3 * MAX_SESSIONS):
        assert receipts.add(f"{session(number)}.1", "flood")
    assert len(receipts) == MAX_OWN + 1
    assert not receipts.add(f"{session(1)}.1", "person")


def test_the_memory_is_bounded_over_all_senders() -> None:
    receipts = Receipts()
    for number in range(2 * MAX_SESSIONS):
        receipts.add(f"{session(number)}.999999999999999", f"person {number}")
    assert len(receipts) == MAX_SESSIONS


def test_a_line_is_known_by_its_id_and_text_whoever_sends_it() -> None:
    lines = TypedLines()
    assert lines.add("line-1", "hello", "person")
    assert not lines.add("line-1", "hello", "the person's next identity")
    assert lines.add("line-1", "hello?", "person")
    assert lines.add("line-2", "hello", "person")


def test_one_sender_cannot_displace_the_lines_of_others_and_all_are_bounded() -> None:
    lines = TypedLines()
    assert lines.add("line-1", "hello", "person")
    for number in range(2 * MAX_OWN_LINES):
        assert lines.add(f"{number}", "", "flood")
    assert len(lines) == MAX_OWN_LINES + 1
    assert not lines.add("line-1", "hello", "person")
    for number in range(MAX_LINES):
        lines.add(f"{number}", "", f"person {number % 32}")
    assert len(lines) <= MAX_LINES


def hostile_topics() -> Iterator[str | None]:
    valid = f"{session(1)}.7"
    yield from (None, "", "chat", valid, CONFIRM_TOPIC, f"{CONFIRM_TOPIC}{valid}0" + "0" * 15)
    for wrong in (".1", f"{session(1)}.", f"{session(1)}.0", f"{session(1)}.-1", f"{valid}\n"):
        yield CONFIRM_TOPIC + wrong
    yield CONFIRM_TOPIC + valid.upper().replace("0", "A")
    yield f"{CONFIRM_TOPIC}{session(1)}.\N{ARABIC-INDIC DIGIT ONE}"


@pytest.mark.parametrize("topic", list(hostile_topics()))
def test_only_a_well_formed_id_asks_for_a_confirmation(topic: str | None) -> None:
    assert confirmed_id(topic) is None


def test_an_id_is_what_follows_the_topic() -> None:
    assert confirmed_id(f"{CONFIRM_TOPIC}{session(1)}.7") == f"{session(1)}.7"
