"""What both speakers said, as WebVTT: a player shows it beside the recording's media."""

from __future__ import annotations

from typing import Final, final

import msgspec

from livelayer_bus import TranscriptEntry

MIN_SECONDS: Final = 1.0
"""The shortest time a caption is shown."""
MARK_SECONDS: Final = 0.001
"""The empty cue at the end, by which the captions last as long as the media."""

HEADER: Final = "WEBVTT\n\n"


class Cue(msgspec.Struct, frozen=True, order=True):
    """One utterance; times are seconds of the media."""

    start: float
    end: float
    speaker: str
    text: str

    def earlier(self, seconds: float) -> Cue:
        """The cue that much earlier, but not before 0."""
        start = max(0.0, self.start - seconds)
        return Cue(start, max(self.end - seconds, start + MARK_SECONDS), self.speaker, self.text)


class _Open(msgspec.Struct):
    start: float
    cue: Cue | None = None


@final
class Captions:
    """Collects utterances as they grow; an utterance is a cue as soon as it is finished.

    A cue begins when the utterance was first heard and ends when it was finished. One that is
    never finished, because its trailer was lost, is a cue when the captions are.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[str | None, str], _Open] = {}
        self._latest: dict[tuple[str | None, str], tuple[float, TranscriptEntry]] = {}

    def hear(self, entry: TranscriptEntry, seconds: float) -> Cue | None:
        """Take in one wording; return the cue if it is finished and was not before."""
        key = entry.sender, entry.id
        known = self._open.setdefault(key, _Open(max(0.0, seconds)))
        self._latest[key] = seconds, entry
        if not entry.final or not entry.text.strip():
            return None
        is_new = known.cue is None
        known.cue = self._cue(known.start, seconds, entry)
        return known.cue if is_new else None

    def finish(self, seconds: float) -> list[Cue]:
        """Every cue in order, none after `seconds`."""
        cues: list[Cue] = []
        for key, known in self._open.items():
            heard, entry = self._latest[key]
            cue = known.cue or self._cue(known.start, heard, entry)
            if entry.text.strip() and cue.start < seconds:
                cues.append(msgspec.structs.replace(cue, end=min(cue.end, seconds)))
        return sorted(cues)

    def _cue(self, start: float, end: float, entry: TranscriptEntry) -> Cue:
        speaker = "Agent" if entry.role == "agent" else "User"
        return Cue(start, max(end, start + MIN_SECONDS), speaker, entry.text)


def document(cues: list[Cue], seconds: float) -> str:
    """A whole WebVTT file that lasts `seconds`."""
    mark = f"{stamp(max(0.0, seconds - MARK_SECONDS))} --> {stamp(seconds)}\n\n"
    return HEADER + "".join(map(encode_cue, cues)) + mark


def encode_cue(cue: Cue) -> str:
    """The cue as WebVTT, with the empty line that ends it."""
    text = cue.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    lines = "\n".join(line for line in text.splitlines() if line.strip())
    return f"{stamp(cue.start)} --> {stamp(cue.end)}\n<v {cue.speaker}>{lines}\n\n"


def stamp(seconds: float) -> str:
    """A time as WebVTT writes it: `00:01:02.345`."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}.{milliseconds:03}"
