"""Recognizes words that come twice: typed and spoken, or as captions and as a transcription."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias, final

import msgspec
from msgspec.structs import replace

from ..clock import Clock
from ..events import TranscriptEntry
from ..transcript import Key, key_of

ECHO_SECONDS: Final = 30.0  # from an utterance to its echo
MAX_LINES: Final = 256  # of one way that an echo is compared with
MAX_RUNS: Final = 8  # of such lines, of which the longest counts
_MARKS: Final = (
    r"""\s.,;:!?'"()\u00a1\u00bf\u060c\u061b\u061f\u0964\u2013\u2014\u2018-\u201f\u2026"""
    r"""\u3001\u3002\u3008-\u3011\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f-"""
)
_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
"""Thai, Lao, Burmese, Khmer, kana and Han have no spaces: each character counts as a word."""
_WORD: Final = re.compile(f"[{_UNSPACED}]|[^{_UNSPACED}{_MARKS}]+")


class _Line(msgspec.Struct):
    """An utterance that is shown as it came one way, and its echo of the other way."""

    entry: TranscriptEntry
    until: float
    echo: Key | None = None  # the utterance that has the whole words of this one
    parts: set[Key] = msgspec.field(default_factory=set)  # those that have a part of them each
    echoed: int = 0  # characters of `words` that finished echoes have
    is_open: bool = False  # more of it may come its own way
    is_reworded: bool = False  # it is shown as its echo has it
    is_passed: bool = False  # something later had an echo: perhaps it was never said
    words: str = ""  # `words_of` its text

    def __post_init__(self) -> None:
        self.say(self.entry)

    def say(self, entry: TranscriptEntry) -> TranscriptEntry:
        self.entry, self.words = entry, words_of(entry.text)
        return entry


_Lines: TypeAlias = OrderedDict[Key, _Line]  # the newest that are shown as they came one way


@final
class Echoes:
    """Tells what of an utterance is new.

    Guarantee: of the words that come both ways, in whatever order and however they are divided
    into utterances, what comes first is shown, and the other way adds what is missing. A user's
    utterance is an echo of a typed line only as a whole.
    """

    def __init__(self, clock: Clock, next_number: Callable[[], int]) -> None:
        self._clock = clock
        self._next_number = next_number
        self._typed, self._captions, self._streams = _Lines(), _Lines(), _Lines()

    def forget(self) -> None:
        for lines in (self._typed, self._captions, self._streams):
            lines.clear()

    def type(self, entry: TranscriptEntry) -> None:
        self._show(self._typed, entry)

    def hear(
        self, entry: TranscriptEntry, *, is_known: bool, is_caption: bool = False
    ) -> Iterator[TranscriptEntry]:
        """Give what is to be shown for an utterance as it is now: it, others, or nothing.

        If it `is_known`, it is shown under its own id; if not `is_caption`, it is a transcription.
        """
        if not (entry.text or is_known):
            return  # there is nothing to show
        if entry.role == "user":
            yield from self._compare(entry, self._typed, is_known=is_known, in_parts=False)
            return
        own, others = self._streams, self._captions
        if is_caption:
            own, others = others, own
        known = own.get(key_of(entry))
        if known is not None and known.echoed:
            yield from self._continue(known, entry, others)
            return
        for new in self._compare(entry, others, is_known=is_known):
            yield self._show(own, new) if key_of(new) == key_of(entry) else new
        if key_of(entry) not in own:
            _pass_by(own)  # it is said after them

    def _show(self, lines: _Lines, entry: TranscriptEntry) -> TranscriptEntry:
        line = lines.setdefault(key_of(entry), _Line(entry, 0.0))
        line.until = self._clock.now() + ECHO_SECONDS
        line.is_open = not entry.final
        if entry.final or not line.entry.final:
            line.say(entry)
        while len(lines) > MAX_LINES:
            lines.popitem(last=False)
        return entry

    def _compare(
        self, entry: TranscriptEntry, lines: _Lines, *, is_known: bool, in_parts: bool = True
    ) -> Iterator[TranscriptEntry]:
        """Give what to show for an utterance that may be an echo of what came the other way.

        With `in_parts`, it may also be a part of a line, or have several of them.
        """
        key, now = key_of(entry), self._clock.now()
        for line in lines.values():
            if line.echo == key or key_of(line.entry) == key:
                yield from self._finish(line, entry)
                return
            if key in line.parts:
                return
        current = [] if is_known else [line for line in lines.values() if line.until >= now]
        current.sort(key=lambda line: line.is_passed)
        words = words_of(entry.text) if current else ""
        most, best, runs = 0, list[_Line](), 0
        for at, line in enumerate(current):
            if _is_whole(line, words, entry.final):
                _pass_by(lines, line)
                yield from self._finish(line, entry)
                return
            run = _run(current, at, words, entry.final) if in_parts else []
            runs += bool(run)
            if (said := sum(len(one.words[one.echoed :].strip()) + 1 for one in run)) > most:
                most, best = said, run
            if run and (most > len(words) or not entry.final or runs == MAX_RUNS):
                break  # it has all of it, or the rest of it decides
        if best:
            _pass_by(lines, best[0])
            yield from self._divide(best, entry)
        else:
            yield entry

    def _finish(self, line: _Line, entry: TranscriptEntry) -> Iterator[TranscriptEntry]:
        """Let an echo of the whole line finish it."""
        if entry.final:
            words = words_of(entry.text)
            line.echo, line.echoed = key_of(entry), len(words)
            if not line.entry.final or line.words != words:
                yield self._reword(line, entry.text)

    def _reword(self, line: _Line, text: str) -> TranscriptEntry:
        line.is_reworded, number = True, self._next_number()  # newer than what is shown
        return line.say(replace(line.entry, text=text, final=True, opened=number, stream=number))

    def _divide(self, run: list[_Line], entry: TranscriptEntry) -> Iterator[TranscriptEntry]:
        """Give what an utterance says after these lines, whose words it has in part or whole."""
        if not entry.final:
            return  # the rest of it decides
        begin, words = 0, words_of(entry.text)
        line, begin_of_last, heard = run[-1], 0, 0
        for line in run:
            begin_of_last, whole, heard = begin, line.words, line.echoed
            begin += len(whole[heard:].strip()) + 1
            line.parts.add(key_of(entry))
            line.echoed = len(whole) - max(0, begin - 1 - len(words))
            if begin > len(words):
                return
        if line.is_open:
            text = _split(line.entry.text, heard)[0] + _split(entry.text, begin_of_last)[1]
            yield self._reword(line, text)
            line.echoed = len(line.words)
        else:
            yield replace(entry, text=_split(entry.text, begin - 1)[1])

    def _continue(
        self, line: _Line, entry: TranscriptEntry, others: _Lines
    ) -> Iterator[TranscriptEntry]:
        """Give what to show for an utterance that goes on after it had echoes.

        What it says after them may be shown already, as it came the other way.
        """
        line.is_open = not entry.final
        head, rest = _split(entry.text, line.echoed)
        said = line.words[: line.echoed]
        if not rest or not words_of(entry.text).startswith(said):
            if not line.is_reworded:
                yield line.say(entry)
            return
        ending = replace(entry, text=rest)
        has_new = False
        for one in self._compare(ending, others, is_known=False):
            if key_of(one) != key_of(entry):
                yield one
                continue
            has_new = True
            if not line.is_reworded:
                yield line.say(replace(entry, text=head + one.text))
            elif entry.final:
                yield self._reword(line, head + one.text)
        if entry.final and not has_new and not line.is_reworded:
            yield self._reword(line, head.rstrip())


def _pass_by(lines: _Lines, until: _Line | None = None) -> None:
    for line in lines.values():
        if line is until:
            return
        line.is_passed |= not (line.echoed or line.is_open)


def _is_whole(line: _Line, words: str, final: bool) -> bool:
    """Whether an utterance of these words has those of the line, as far as it goes."""
    if line.echo is not None or line.parts:
        return False
    said = line.words
    return (
        words == said
        or (not final and said.startswith(words))  # the rest of it decides
        or (said != "" and not line.entry.final and words.startswith(said))
    )


def _run(lines: list[_Line], at: int, words: str, final: bool) -> list[_Line]:
    """Return the lines from this one on whose words, from what had no echo yet, begin these."""
    run, begin = list[_Line](), 0
    while at < len(lines):
        line = lines[at]
        said = line.words[line.echoed :].strip()
        if not said or (run and line.echoed):
            break
        left = len(words) - begin
        if f"{said} ".startswith(f"{words[begin:]} " if final else words[begin:]):
            return [*run, line]
        if left <= len(said) or not words.startswith(said if line.is_open else f"{said} ", begin):
            break
        run.append(line)
        begin, at = begin + len(said) + 1, at + 1
        if words[begin - 1] != " ":
            break  # in the middle of a word
    return run


def words_of(text: str) -> str:
    """The text, for a comparison: case, white space and punctuation do not matter."""
    return " ".join(_WORD.findall(text.casefold()))


def _split(text: str, chars: int) -> tuple[str, str]:
    """Divide a text before the first word that begins after that many characters of `words_of`."""
    begin = 0
    for word in _WORD.finditer(text):
        if begin >= chars:
            return text[: word.start()], text[word.start() :]
        begin += len(word[0].casefold()) + 1
    return text, ""
