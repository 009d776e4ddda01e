"""One transcript entry an utterance, whatever order, repetition or loss its segments have.

`merge` is a join: taking the same entries in any order, any number of times, gives the same
transcript. An utterance stands where its first stream opened; of two wordings the finished one
wins, then the one whose stream opened later, then the longer one (streams only grow).
"""

from __future__ import annotations

from bisect import insort

import msgspec

from .events import TranscriptEntry


def merge(
    transcript: tuple[TranscriptEntry, ...], entry: TranscriptEntry
) -> tuple[TranscriptEntry, ...]:
    """The transcript with `entry` taken in; the same tuple when nothing changes."""
    known = next((old for old in reversed(transcript) if old.id == entry.id), None)
    if known is not None:
        entry = _join(known, entry)
        if entry == known:
            return transcript
        if entry.opened == known.opened:
            return tuple(entry if old is known else old for old in transcript)
    others = [old for old in transcript if old is not known]
    insort(others, entry, key=_place)
    return tuple(others)


def _join(one: TranscriptEntry, two: TranscriptEntry) -> TranscriptEntry:
    newest = max(one, two, key=_novelty)
    return msgspec.structs.replace(newest, opened=min(one.opened, two.opened))


def _place(entry: TranscriptEntry) -> tuple[int, str]:
    return entry.opened, entry.id


def _novelty(entry: TranscriptEntry) -> tuple[bool, int, int, str, str]:
    return entry.final, entry.stream, len(entry.text), entry.text, entry.role
