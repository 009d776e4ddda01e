"""One transcript entry an utterance, whatever order, repetition or loss its segments have.

`Transcript.add` is a join: the same entries in any order, any number of times, give the same
transcript. An utterance is known by its sender and id, and stands where its first stream opened; of
two wordings the finished one wins, then the one whose stream opened later, then the longer one
(streams only grow). Of a long conversation only the newest utterances are kept and the others
counted; what belongs before them is left out.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import chain
from typing import Final, TypeAlias, final

import msgspec
from msgspec.structs import replace

from .events import TranscriptEntry

LIMIT: Final = 500  # utterances that a state has, unless the session says otherwise
MAX_CHARS: Final = 512 * 1024  # of them together, so that a snapshot fits in one frame
BLOCK: Final = 16  # the newest 16 to 32 utterances change at a cost that older ones do not add to

Key: TypeAlias = tuple[str | None, str]
"""Sender and id: what an utterance is known by. No other sender's streams can change it."""


@final
class Transcript(msgspec.Struct, eq=False):
    """The newest utterances in order: one immutable version; `add` returns the next one.

    A version shares the blocks of older utterances with the one before it. To change one of those
    blocks, which is rare, the transcript is built anew.
    """

    _older: tuple[tuple[TranscriptEntry, ...], ...]
    _recent: tuple[TranscriptEntry, ...]
    _last: TranscriptEntry | None
    _size: int
    _chars: int
    _limit: int
    omitted: int
    """Utterances before the first one that is kept."""
    # Belongs to the newest version alone, which changes it; None in a version before that.
    _known: set[Key] | None = None
    _entries: tuple[TranscriptEntry, ...] | None = None

    @classmethod
    def of(
        cls, entries: Sequence[TranscriptEntry], omitted: int = 0, limit: int = LIMIT
    ) -> Transcript:
        """Return the newest `limit` of `entries`, which are in order, after `omitted` others."""
        last = entries[-1] if entries else None
        settled = max(0, len(entries) - BLOCK)
        starts = range(0, settled, BLOCK)
        older = tuple(tuple(entries[at : min(at + BLOCK, settled)]) for at in starts)
        recent, chars = tuple(entries[settled:-1]), sum(map(_weight, entries))
        made = cls(older, recent, last, len(entries), chars, limit, omitted)
        made._trim()
        return made

    @property
    def entries(self) -> tuple[TranscriptEntry, ...]:
        """All that is kept, as a tuple; made once."""
        if self._entries is None:
            last = () if self._last is None else (self._last,)
            self._entries = (*chain.from_iterable(self._older), *self._recent, *last)
        return self._entries

    def add(self, entry: TranscriptEntry) -> Transcript:
        """Return the transcript with `entry` taken in; the same object when nothing changes."""
        last = self._last
        if last is None or last.id != entry.id or last.sender != entry.sender:
            return self._add_other(entry)
        joined = join(last, entry)
        if joined is last:
            return self
        if joined.opened != last.opened:
            return self._rebuilt(last, joined)
        grown = len(joined.text) - len(last.text)
        chars = self._chars + grown
        if chars > MAX_CHARS:
            return self._next(self._recent, joined, grown)
        # As `_next`, written out: nearly every update takes this way.
        known, self._known = self._known, None
        return Transcript(
            self._older, self._recent, joined, self._size, chars, self._limit, self.omitted, known
        )

    def _add_other(self, entry: TranscriptEntry) -> Transcript:
        recent, last = self._recent, self._last
        if self._known is None:
            self._known = set(map(key_of, self.entries))
        key = key_of(entry)
        if key not in self._known:
            if last is None or place(last) < place(entry):
                self._known.add(key)
                recent = recent if last is None else (*recent, last)
                return self._next(recent, entry, _weight(entry), 1)
            is_older = self.omitted and place(entry) < place(self.entries[0])
            return self if is_older else self._rebuilt(None, entry)
        near = next((at for at, one in enumerate(recent) if key_of(one) == key), None)
        if near is not None:
            known = recent[near]
        else:
            known = next(one for one in self.entries if key_of(one) == key)
        joined = join(known, entry)
        if joined is known:
            return self
        if near is None or last is None or joined.opened != known.opened:
            return self._rebuilt(known, joined)
        changed = (*recent[:near], joined, *recent[near + 1 :])
        return self._next(changed, last, len(joined.text) - len(known.text))

    def _next(
        self, recent: tuple[TranscriptEntry, ...], last: TranscriptEntry, chars: int, more: int = 0
    ) -> Transcript:
        """Return the version with these utterances, `more` of them and `chars` longer."""
        older, size, chars = self._older, self._size + more, self._chars + chars
        if len(recent) == 2 * BLOCK:
            older, recent = (*older, recent[:BLOCK]), recent[BLOCK:]
        known, self._known = self._known, None
        made = Transcript(older, recent, last, size, chars, self._limit, self.omitted, known)
        if size > self._limit or chars > MAX_CHARS:
            made._trim()
        return made

    def _rebuilt(self, known: TranscriptEntry | None, entry: TranscriptEntry) -> Transcript:
        entries = [one for one in self.entries if one is not known]
        entries.insert(bisect(entries, place(entry), key=place), entry)
        return Transcript.of(entries, self.omitted, self._limit)

    def _trim(self) -> None:
        """Leave out the oldest utterances beyond the bounds; the newest one stays."""
        while self._size > 1 and (self._size > self._limit or self._chars > MAX_CHARS):
            if self._older:
                first, *rest = self._older[0]
                self._older = ((tuple(rest),) if rest else ()) + self._older[1:]
            else:
                first, *rest = self._recent
                self._recent = tuple(rest)
            self._size -= 1
            self._chars -= _weight(first)
            self.omitted += 1
            if self._known is not None:
                self._known.discard(key_of(first))


def join(known: TranscriptEntry, entry: TranscriptEntry) -> TranscriptEntry:
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


def key_of(entry: TranscriptEntry) -> Key:
    return entry.sender, entry.id


def place(entry: TranscriptEntry) -> tuple[int, str, str]:
    """What utterances are ordered by."""
    return entry.opened, entry.id, entry.sender or ""


def _weight(entry: TranscriptEntry) -> int:
    return len(entry.text) + len(entry.id)
