"""One transcript entry an utterance, whatever order, repetition or loss its segments have.

`merge` is a join: taking the same entries in any order, any number of times, gives the same
transcript. An utterance stands where its first stream opened; of two wordings the finished one
wins, then the one whose stream opened later, then the longer one (streams only grow).
"""

from __future__ import annotations

from bisect import bisect

from msgspec.structs import replace

from .events import TranscriptEntry


def merge(
    transcript: tuple[TranscriptEntry, ...], entry: TranscriptEntry
) -> tuple[TranscriptEntry, ...]:
    """Return the transcript with `entry` taken in; the same tuple when nothing changes.

    The usual entry extends the last utterance or begins the next one; neither is sorted in.
    """
    at = len(transcript) - 1
    while at >= 0 and transcript[at].id != entry.id:
        at -= 1
    if at < 0:
        return _insert(transcript, entry)
    known = transcript[at]
    joined = _join(known, entry)
    if joined is known:
        return transcript
    changed = list(transcript)
    if joined.opened == known.opened:
        changed[at] = joined
        return tuple(changed)
    del changed[at]
    return _insert(tuple(changed), joined)


def _insert(
    transcript: tuple[TranscriptEntry, ...], entry: TranscriptEntry
) -> tuple[TranscriptEntry, ...]:
    if not transcript or _place(transcript[-1]) < _place(entry):
        return (*transcript, entry)
    at = bisect(transcript, _place(entry), key=_place)
    return (*transcript[:at], entry, *transcript[at:])


def _join(known: TranscriptEntry, entry: TranscriptEntry) -> TranscriptEntry:
    """Return the newer wording with the earlier opening; `known` itself if it has both."""
    if entry.stream == known.stream and entry.final == known.final:
        text, other = entry.text, known.text
        is_newer = len(text) > len(other) or (
            len(text) == len(other) and (text, entry.role) > (other, known.role)
        )
    else:
        is_newer = (entry.final, entry.stream) > (known.final, known.stream)
    if is_newer:
        return entry if entry.opened <= known.opened else replace(entry, opened=known.opened)
    return known if known.opened <= entry.opened else replace(known, opened=entry.opened)


def _place(entry: TranscriptEntry) -> tuple[int, str]:
    return entry.opened, entry.id
