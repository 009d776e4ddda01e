"""LiveKit's transcription text streams, read side by side, as wordings of utterances."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final, final

import msgspec
from livekit import rtc

from ..errors import BusyError
from ..events import Role, TranscriptEntry
from ..tasks import RootTask, TaskOwner
from . import names
from .errors import report
from .port import RoomSink, UtteranceHeard

MAX_CHARS: Final = 200_000  # of one stream; a longer one is abandoned
MAX_OPEN: Final = 1024
"""Streams read at a time. Far more than people and agents need at once: after the loop was blocked,
all that was said meanwhile is open together."""
MAX_WEIGHT: Final = 16 * 1024 * 1024  # characters of all open streams
OPEN_WEIGHT: Final = MAX_WEIGHT // MAX_OPEN  # what an open stream weighs beside its characters

MAX_MOOD: Final = 100  # characters; a longer one is ignored

RoleOf = Callable[[str, str | None], Role | None]

logger = logging.getLogger(__name__)


class _TimedWord(msgspec.Struct):
    text: str


class _Expression(msgspec.Struct):
    mood: str | None = None
    expression: str | None = None


@final
class _Stream:
    """One text stream: its text so far, reported at most once a loop pass."""

    def __init__(
        self,
        reader: rtc.TextStreamReader,
        sender: str,
        number: int,
        report: Callable[[_Stream, str, bool], None],
        grown: Callable[[int], None],
    ) -> None:
        self.attributes: Final = reader.info.attributes or {}
        self.id: Final = self.attributes.get(names.SEGMENT_ID) or reader.info.stream_id
        self.sender: Final = sender
        self.number: Final = number
        self.role: Role | None = None
        self.mood: str | None = None
        self.chars = 0
        self.abandoned = False
        self.task: RootTask | None = None
        self._reader = reader
        self._report_text = report
        self._grown = grown
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
                self._grown(len(chunk))
                if self._due is None:
                    self._due = asyncio.get_running_loop().call_soon(self._report)
            self._whole = not self.abandoned
        except rtc.StreamError:
            pass  # its sender left or broke it off: an end without a trailer
        finally:
            self._reader.close()
        self._report()

    def abandon(self) -> None:
        """Stop reading and keep what the stream gave."""
        self.abandoned = True
        self._reader.close()

    def stop(self) -> None:
        """Stop reading and report nothing more."""
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
        # The trailer's attributes are merged into the header's when the stream has ended.
        attributes = self._reader.info.attributes or {}
        self.mood = _mood(attributes.get(names.EXPRESSION))
        if text:
            said_final = attributes.get(names.TRANSCRIPTION_FINAL) == "true"
            self._report_text(self, text, self._whole and said_final)


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


@final
class Transcriptions:
    """The one handler of a room's transcription topic, and the streams it has open.

    Utterances are numbered by the opening of their streams. Each stream has a reader of its own,
    so one that never ends does not hold up the others. If all open streams together exceed
    `MAX_WEIGHT`, the sender with the most loses its oldest: nobody can crowd out another sender.
    """

    def __init__(self, room: rtc.Room, sink: RoomSink, role_of: RoleOf, tasks: TaskOwner) -> None:
        self._room = room
        self._sink = sink
        self._role_of = role_of
        self._tasks = tasks
        self._open: dict[int, _Stream] = {}
        self._weight = 0
        self._attached = False
        self._opened = 0
        self.abandoned = 0

    @property
    def open(self) -> int:
        """Streams being read."""
        return len(self._open)

    def attach(self) -> None:
        """Take the topic.

        Raises:
            BusyError: another handler has it already; the SDK allows one handler a topic.
        """
        try:
            self._room.register_text_stream_handler(names.TRANSCRIPTION_TOPIC, self._on_opened)
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
            self._room.unregister_text_stream_handler(names.TRANSCRIPTION_TOPIC)
            self._attached = False
        for stream in self._open.values():
            stream.stop()
        self._open.clear()

    def _on_opened(self, reader: rtc.TextStreamReader, sender: str) -> None:
        try:
            self._start(reader, sender)
        except Exception as error:  # noqa: BLE001 - the SDK would log it with the payload
            reader.close()
            report("opening a transcription", error)

    def _start(self, reader: rtc.TextStreamReader, sender: str) -> None:
        self._opened += 1
        stream = _Stream(reader, sender, self._opened, self._report, self._grow)
        self._open[self._opened] = stream
        stream.task = self._tasks.start(functools.partial(self._read, stream), "transcription")
        self._grow(OPEN_WEIGHT)

    def _grow(self, weight: int) -> None:
        self._weight += weight
        while self._weight > MAX_WEIGHT and len(self._open) > 1:
            held: Counter[str] = Counter()
            for stream in self._open.values():
                held[stream.sender] += OPEN_WEIGHT + stream.chars
            most = max(held, key=held.__getitem__)
            oldest = next(one for one in self._open.values() if one.sender == most)
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
        if self._open.pop(stream.number, None) is None:
            return
        self._weight -= OPEN_WEIGHT + stream.chars
        if stream.abandoned:
            self.abandoned += 1
            # Counted, and logged at 1, 2, 4, 8, ...: a hostile sender cannot fill the log.
            if self.abandoned & (self.abandoned - 1) == 0:
                logger.warning("transcription streams cut short so far: %d", self.abandoned)

    def _report(self, stream: _Stream, text: str, final: bool) -> None:
        track = stream.attributes.get(names.TRANSCRIBED_TRACK_ID) or None
        # Once known it stays, also when the participant leaves. An unknown sender is an agent that
        # was not announced yet: servers let only agents transcribe for others.
        stream.role = stream.role or self._role_of(stream.sender, track)
        is_own = stream.sender == self._room.local_participant.identity
        entry = TranscriptEntry(
            id=stream.id,
            role=stream.role or "agent",
            text=text,
            final=final,
            opened=stream.number,
            stream=stream.number,
            sender=None if is_own else stream.sender,
            mood=stream.mood if stream.role != "user" else None,
        )
        replayed = stream.attributes.get(names.REPLAYED) == "true"
        self._sink.report(UtteranceHeard(entry, replayed))
