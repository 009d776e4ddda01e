"""Segments in any order, repeated or lost, make one entry an utterance in order of opening."""

from __future__ import annotations

from functools import reduce

from hypothesis import given, settings
from hypothesis import strategies as st

from livelayer_bus.events import TranscriptEntry
from livelayer_bus.transcript import merge

ENTRIES = st.builds(
    TranscriptEntry,
    id=st.sampled_from("abcd"),
    role=st.sampled_from(["agent", "user"]),
    text=st.sampled_from(["", "h", "hi", "hi you", "ho"]),
    final=st.booleans(),
    opened=st.integers(0, 4),
    stream=st.integers(0, 3),
)
EMPTY: tuple[TranscriptEntry, ...] = ()


@given(st.lists(ENTRIES, max_size=12), st.data())
@settings(max_examples=400, deadline=None)
def test_order_and_repetition_do_not_matter(
    entries: list[TranscriptEntry], data: st.DataObject
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(entries), max_size=8)) if entries else []
    shuffled = data.draw(st.permutations([*entries, *repeated]))
    assert reduce(merge, shuffled, EMPTY) == reduce(merge, entries, EMPTY)


@given(st.lists(ENTRIES, max_size=12))
@settings(max_examples=200, deadline=None)
def test_one_entry_an_utterance_in_order_of_opening(entries: list[TranscriptEntry]) -> None:
    transcript = reduce(merge, entries, EMPTY)
    assert {entry.id for entry in transcript} == {entry.id for entry in entries}
    assert len({entry.id for entry in transcript}) == len(transcript)
    assert list(transcript) == sorted(transcript, key=lambda entry: (entry.opened, entry.id))
    for entry in transcript:
        parts = [part for part in entries if part.id == entry.id]
        assert entry.opened == min(part.opened for part in parts)
        assert entry.final == any(part.final for part in parts)
        assert entry.text in {part.text for part in parts}


@given(st.lists(ENTRIES, max_size=12))
@settings(max_examples=200, deadline=None)
def test_what_is_known_already_gives_the_same_tuple(entries: list[TranscriptEntry]) -> None:
    transcript = reduce(merge, entries, EMPTY)
    for entry in entries:
        assert merge(transcript, entry) is transcript


@given(st.data())
@settings(max_examples=200, deadline=None)
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
    transcript = reduce(merge, kept, EMPTY)
    newest = end if end in kept else max(kept, key=course.index)
    assert [entry.text for entry in transcript] == [newest.text]
    assert transcript[0].opened == min(entry.opened for entry in kept)


def test_a_late_finish_keeps_its_place_before_a_later_utterance() -> None:
    first = TranscriptEntry(id="1", role="agent", text="Hel", final=False, opened=1, stream=1)
    second = TranscriptEntry(id="2", role="user", text="Yes?", final=True, opened=2, stream=2)
    finished = TranscriptEntry(id="1", role="agent", text="Hello", final=True, opened=3, stream=3)
    transcript = reduce(merge, [first, second, finished], EMPTY)
    assert [(entry.id, entry.text) for entry in transcript] == [("1", "Hello"), ("2", "Yes?")]


def test_a_partial_that_comes_after_the_final_changes_nothing() -> None:
    final = TranscriptEntry(id="1", role="user", text="Yes.", final=True, opened=1, stream=2)
    late = TranscriptEntry(id="1", role="user", text="Yes, I mean", final=False, opened=1, stream=3)
    assert merge((final,), late) == (final,)
