"""LiveKit's transcription text streams, read side by side, as wordings of utterances."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import msgspec
from livekit import rtc

from ..errors import BusyError
from ..events import Role, TranscriptEntry
from ..tasks import RootTask, TaskOwner
from . import names
from .agent import AgentWatch
from .errors import report
from .port import UtteranceHeard

MAX_CHARS: Final = 200_000  # of one stream; a longer one is abandoned
MAX_OPEN: Final = 1024
"""Streams read at a time. Far more than people and agents need at once: after the loop was blocked,
all that was said meanwhile is open together."""
MAX_WEIGHT: Final = 16 * 1024 * 1024  # characters of all open streams
OPEN_WEIGHT: Final = MAX_WEIGHT // MAX_OPEN  # what an open stream weighs beside its characters

MAX_MOOD: Final = 100  # characters; a longer one is ignored

logger = logging.getLogger(__name__)


class _TimedWord(msgspec.Struct):
    text: str


class _Expression(msgspec.Struct):
    mood: str | None = None
    expression: str | None = None


class _Stream:
    """One text stream: its text so far, reported at most once a loop pass."""

    def __init__(
        self, owner: Transcriptions, reader: rtc.TextStreamReader, sender: str, number: int
    ) -> None:
        self._attributes: Final = reader.info.attributes or {}
        self.sender: Final = sender
        self.number: Final = number
        self._role: Role | None = None
        self.chars = 0
        self.abandoned = False
        self.task: RootTask | None = None
        self._reader = reader
        self._owner = owner
        self._parts: list[str] = []
        self._due: asyncio.Handle | None = None
        self._whole = False
        self._timed: bool | None = None  # JSON lines; None: not known yet
        self._line = ""  # the beginning of a line whose end has not come

    async def read(self) -> None:
        """Take in the stream to its end; cut short, what it gave stays."""
        try:
            async for chunk in self._reader:
                if self.chars + len(chunk) > MAX_CHARS:
                    self.abandon()
                    return
                self.chars += len(chunk)
                self._parts.append(self._spoken(chunk))
                self._owner.grow(len(chunk))
                if self._due is None:
                    self._due = asyncio.get_running_loop().call_soon(self._report)
            self._whole = not self.abandoned
        except rtc.StreamError:
            pass  # its sender left or broke it off: an end without a trailer
        finally:
            self._reader.close()
        self._report()

    def abandon(self) -> None:
        self.abandoned = True
        self._reader.close()

    def stop(self) -> None:
        self.abandon()
        if self._due is not None:
            self._due.cancel()
        if self.task is not None:
            self.task.cancel()

    def _spoken(self, chunk: str) -> str:
        """The words of a chunk: livekit-agents may send them with their times, as JSON lines."""
        if self._timed is None:
            self._timed = chunk.startswith('{"text"')
        if not self._timed:
            return chunk
        *lines, self._line = (self._line + chunk).split("\n")
        return "".join(map(_word, lines))

    def _report(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        # Joined here and not at each chunk: a burst of chunks would cost its length squared.
        text = "".join(self._parts)
        self._parts = [text]
        if not text:
            return
        attributes, agent = self._attributes, self._owner.agent
        # Once known it stays, also when the participant leaves. An unknown sender is an agent that
        # was not announced yet: servers let only agents transcribe for others.
        track = attributes.get(names.TRANSCRIBED_TRACK_ID) or None
        self._role = self._role or agent.role(self.sender, track)
        # The trailer's attributes are merged into the header's when the stream has ended.
        trailer = self._reader.info.attributes or {}
        is_own = self.sender == agent.room.local_participant.identity
        entry = TranscriptEntry(
            id=attributes.get(names.SEGMENT_ID) or self._reader.info.stream_id,
            role=self._role or "agent",
            text=text,
            final=self._whole and trailer.get(names.TRANSCRIPTION_FINAL) == "true",
            opened=self.number,
            stream=self.number,
            sender=None if is_own else self.sender,
            mood=_mood(trailer.get(names.EXPRESSION)) if self._role != "user" else None,
        )
        agent.sink.report(UtteranceHeard(entry, attributes.get(names.REPLAYED) == "true"))


def _word(line: str) -> str:
    try:
        return msgspec.json.decode(line, type=_TimedWord).text
    except msgspec.DecodeError:
        return f"{line}\n" if line else ""


def _mood(expression: str | None) -> str | None:
    """The mood that an agent names, else its own words for how it speaks."""
    try:
        found = msgspec.json.decode(expression or "{}", type=_Expression)
    except msgspec.DecodeError:
        return None
    mood = found.mood or found.expression
    return mood if mood and len(mood) <= MAX_MOOD else None


@dataclass(eq=False)
class Transcriptions:
    """The one handler of a room's transcription topic, and the streams it has open.

    Utterances are numbered by the opening of their streams. Each stream has a reader of its own,
    so one that never ends does not hold up the others. If all open streams together exceed
    `MAX_WEIGHT`, the sender with the most loses its oldest: nobody can crowd out another sender.
    """

    agent: AgentWatch
    _tasks: TaskOwner
    open: dict[int, _Stream] = field(default_factory=dict[int, "_Stream"])
    abandoned: int = 0
    _weight: int = 0
    _attached: bool = False
    _opened: int = 0

    def attach(self) -> None:
        """Take the topic; raises BusyError if another handler has it: the SDK allows one."""
        try:
            self.agent.room.register_text_stream_handler(names.TRANSCRIPTION_TOPIC, self._on_opened)
        except ValueError as exc:
            raise BusyError(
                f"the text-stream topic {names.TRANSCRIPTION_TOPIC!r} of this room",
                "unregister its handler and subscribe to the session's TranscriptUpdated instead, "
                "or borrow the room with transcripts=False",
            ) from exc
        self._attached = True

    def close(self) -> None:
        """Give the topic back and stop every reader; nothing is reported any more."""
        if self._attached:
            self.agent.room.unregister_text_stream_handler(names.TRANSCRIPTION_TOPIC)
            self._attached = False
        for stream in self.open.values():
            stream.stop()
        self.open.clear()

    def _on_opened(self, reader: rtc.TextStreamReader, sender: str) -> None:
        try:
            self._opened += 1
            stream = self.open[self._opened] = _Stream(self, reader, sender, self._opened)
            stream.task = self._tasks.start(partial(self._read, stream), "transcription")
            self.grow(OPEN_WEIGHT)
        except Exception as error:  # noqa: BLE001 - the SDK would log it with the payload
            reader.close()
            report("opening a transcription", error)

    def grow(self, weight: int) -> None:
        """Count what open streams hold, and give up the oldest ones that are too much."""
        self._weight += weight
        while self._weight > MAX_WEIGHT and len(self.open) > 1:
            held: Counter[str] = Counter()
            for stream in self.open.values():
                held[stream.sender] += OPEN_WEIGHT + stream.chars
            [(most, _)] = held.most_common(1)
            oldest = next(one for one in self.open.values() if one.sender == most)
            oldest.abandon()
            self._ended(oldest)

    async def _read(self, stream: _Stream) -> None:
        try:
            await stream.read()
        except Exception as error:  # noqa: BLE001 - one stream's fault stays its own
            report("reading a transcription", error)
        finally:
            self._ended(stream)

    def _ended(self, stream: _Stream) -> None:
        if self.open.pop(stream.number, None) is None:
            return
        self._weight -= OPEN_WEIGHT + stream.chars
        if stream.abandoned:
            self.abandoned += 1
            # Counted, and logged at 1, 2, 4, 8, ...: a hostile sender cannot fill the log.
            if self.abandoned & (self.abandoned - 1) == 0:
                logger.warning("transcription streams cut short so far: %d", self.abandoned)
