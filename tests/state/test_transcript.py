"""Segments in any order, repeated or lost, make one entry an utterance in order of opening.

The newest ones are kept, at a cost that does not depend on how many there were.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livelayer_bus import transcript as module
from livelayer_bus.events import TranscriptEntry
from livelayer_bus.transcript import BLOCK, Transcript, key_of, place
from tests.support import EXAMPLES

ENTRIES = st.builds(
    TranscriptEntry,
    id=st.sampled_from("abcd"),
    role=st.sampled_from(["agent", "user"]),
    text=st.sampled_from(["", "h", "hi", "hi you", "ho"]),
    final=st.booleans(),
    opened=st.integers(0, 4),
    stream=st.integers(0, 3),
    sender=st.sampled_from(["agent", None]),
)


def said(entries: Iterable[TranscriptEntry], limit: int = 1000) -> Transcript:
    """The transcript of these entries, taken in one after the other."""
    return reduce(Transcript.add, entries, Transcript.of((), limit=limit))


def line(number: int, text: str = "words", final: bool = True) -> TranscriptEntry:
    return TranscriptEntry(f"S{number}", "agent", text, final, number, number, "agent")


@given(st.lists(ENTRIES, max_size=12), st.data())
@settings(max_examples=400 * EXAMPLES, deadline=None)
def test_order_and_repetition_do_not_matter(
    entries: list[TranscriptEntry], data: st.DataObject
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(entries), max_size=8)) if entries else []
    shuffled = data.draw(st.permutations([*entries, *repeated]))
    assert said(shuffled).entries == said(entries).entries


@given(st.lists(ENTRIES, max_size=12))
@settings(max_examples=200 * EXAMPLES, deadline=None)
def test_one_entry_an_utterance_in_order_of_opening(entries: list[TranscriptEntry]) -> None:
    transcript = said(entries).entries
    assert {key_of(entry) for entry in transcript} == {key_of(entry) for entry in entries}
    assert len({key_of(entry) for entry in transcript}) == len(transcript)
    assert list(transcript) == sorted(transcript, key=place)
    for entry in transcript:
        parts = [part for part in entries if key_of(part) == key_of(entry)]
        assert entry.opened == min(part.opened for part in parts)
        assert entry.final == any(part.final for part in parts)
        assert entry.text in {part.text for part in parts}


@given(st.lists(ENTRIES, max_size=12))
@settings(max_examples=200 * EXAMPLES, deadline=None)
def test_what_is_known_already_gives_the_same_object(entries: list[TranscriptEntry]) -> None:
    transcript = said(entries)
    for entry in entries:
        assert transcript.add(entry) is transcript


@given(st.data())
@settings(max_examples=200 * EXAMPLES, deadline=None)
def test_the_newest_wording_that_arrived_is_shown(data: st.DataObject) -> None:
    """A speaker's real course: streams that grow, the last of which is finished, with losses."""
    words = ["I", "I am", "I am here", "I am here."]
    course = [
        TranscriptEntry(id="u", role="agent", text=text, final=False, opened=stream, stream=stream)
        for stream in (1, 2)
        for text in words
    ]
    end = TranscriptEntry(id="u", role="agent", text="Here.", final=True, opened=3, stream=3)
    kept = data.draw(st.lists(st.sampled_from([*course, end]), min_size=1))
    transcript = said(kept).entries
    newest = end if end in kept else max(kept, key=course.index)
    assert [entry.text for entry in transcript] == [newest.text]
    assert transcript[0].opened == min(entry.opened for entry in kept)


def test_a_late_finish_keeps_its_place_before_a_later_utterance() -> None:
    first = TranscriptEntry(id="1", role="agent", text="Hel", final=False, opened=1, stream=1)
    second = TranscriptEntry(id="2", role="user", text="Yes?", final=True, opened=2, stream=2)
    finished = TranscriptEntry(id="1", role="agent", text="Hello", final=True, opened=3, stream=3)
    transcript = said([first, second, finished])
    assert [(entry.id, entry.text) for entry in transcript.entries] == [
        ("1", "Hello"),
        ("2", "Yes?"),
    ]


def test_a_partial_that_comes_after_the_final_changes_nothing() -> None:
    final = TranscriptEntry(id="1", role="user", text="Yes.", final=True, opened=1, stream=2)
    late = TranscriptEntry(id="1", role="user", text="Yes, I mean", final=False, opened=1, stream=3)
    assert said([final, late]).entries == (final,)


def test_another_sender_cannot_change_an_utterance() -> None:
    agents = TranscriptEntry("1", "agent", "It costs 5.", False, 1, 1, "agent")
    forged = TranscriptEntry("1", "user", "It costs 500.", True, 2, 2, "guest")
    assert said([agents, forged]).entries == (agents, forged)


# A window of a long conversation -------------------------------------------------------------


class Plain:
    """The same as a list, as slow as that is."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.entries: list[TranscriptEntry] = []
        self.omitted = 0

    def add(self, entry: TranscriptEntry) -> None:
        known = next((one for one in self.entries if key_of(one) == key_of(entry)), None)
        if known is not None:
            self.entries.remove(known)
            entry = module.join(known, entry)
        elif self.omitted and place(entry) < place(self.entries[0]):
            return
        self.entries.append(entry)
        self.entries.sort(key=place)
        self.omitted += max(0, len(self.entries) - self.limit)
        self.entries = self.entries[-self.limit :]


@given(
    st.lists(
        st.builds(
            line,
            st.integers(0, 60),
            st.sampled_from(["a", "ab", "abc"]),
            st.booleans(),
        ),
        max_size=120,
    ),
    st.integers(1, 40),
    st.booleans(),
)
@settings(max_examples=80 * EXAMPLES, deadline=None)
def test_a_window_is_what_a_plain_list_gives_and_every_version_stays(
    entries: list[TranscriptEntry], limit: int, in_order: bool
) -> None:
    if in_order:
        entries = sorted(entries, key=place)
    transcript, plain = Transcript.of((), limit=limit), Plain(limit)
    versions = [(transcript, transcript.entries)]
    for entry in entries:
        transcript = transcript.add(entry)
        plain.add(entry)
        assert list(transcript.entries) == plain.entries
        assert transcript.omitted == plain.omitted
        versions.append((transcript, transcript.entries))
    for version, then in versions:
        assert version.entries == then
        again = Transcript.of(then, version.omitted, limit)
        # A version that has been added to can be added to once more, another way.
        for entry in entries[-3:]:
            assert version.add(entry).entries == again.add(entry).entries


def test_the_window_is_bounded_in_characters_and_keeps_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CHARS", 100)
    transcript = said(line(number, "x" * 28) for number in range(10, 20))
    assert [entry.id for entry in transcript.entries] == ["S17", "S18", "S19"]
    assert transcript.omitted == 7
    longer = transcript.add(line(19, "x" * 90))
    assert [entry.id for entry in longer.entries] == ["S19"]
    assert [entry.id for entry in longer.add(line(20, "x" * 500)).entries] == ["S20"]


def calls_of(transcript: Transcript, entries: list[TranscriptEntry]) -> tuple[int, int]:
    """Function calls, and entries in tuples that no earlier version had, for these updates."""
    calls = copied = 0

    def count(_frame: object, kind: str, _argument: object) -> None:
        nonlocal calls
        calls += kind in ("call", "c_call")

    def parts(of: Transcript) -> list[tuple[object, ...]]:
        return [of._older, of._recent, *of._older]

    before, profiler = sys.getprofile(), count
    for entry in entries:
        sys.setprofile(profiler)
        changed = transcript.add(entry)
        sys.setprofile(before)
        shared = set(map(id, parts(transcript)))
        copied += sum(len(part) for part in parts(changed) if id(part) not in shared)
        transcript = changed
    return calls, copied


def test_an_update_costs_the_same_after_10_and_after_100000_utterances(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CHARS", sys.maxsize)
    costs = []
    for total in (10, 100_000):
        transcript = said((line(number) for number in range(total)), limit=200_000)
        growing = [line(total, "x" * size, final=False) for size in range(1, 50)]
        transcript = transcript.add(growing[0])
        calls, copied = calls_of(transcript, growing[1:])
        costs.append(calls)
        assert copied == 0
    assert costs[0] == costs[1]


def test_two_who_speak_at_once_cost_no_more_after_10000_utterances(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CHARS", sys.maxsize)
    transcript = said((line(number) for number in range(10_000)), limit=200_000)
    both = [line(10_000 + size % 2, "x" * size, final=False) for size in range(2, 60)]
    transcript = transcript.add(both[0]).add(both[1])
    _, copied = calls_of(transcript, both[2:])
    assert copied <= len(both) * 2 * BLOCK
    new = [line(number) for number in range(20_000, 20_200)]
    _, copied = calls_of(transcript, new)
    # A block of references to blocks is copied with each 16th one.
    assert copied / len(new) <= 2 * BLOCK + 10_000 / BLOCK / BLOCK + 3
