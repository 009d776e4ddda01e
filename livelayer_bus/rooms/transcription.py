"""LiveKit's transcription text streams, read side by side, as wordings of utterances."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Final, final

from livekit import rtc

from ..errors import BusyError
from ..events import Role, TranscriptEntry
from ..tasks import RootTask, TaskOwner
from . import names
from .listeners import report
from .port import RoomSink, UtteranceHeard

MAX_OPEN: Final = 64  # streams read at a time; with one more, the oldest is abandoned
MAX_CHARS: Final = 200_000  # of one stream; a longer one is abandoned

RoleOf = Callable[[str, str | None], Role | None]


@final
class _Stream:
    """One text stream: its text so far, reported at most once a loop pass."""

    def __init__(
        self,
        reader: rtc.TextStreamReader,
        sender: str,
        number: int,
        sink: RoomSink,
        role_of: RoleOf,
    ) -> None:
        attributes = reader.info.attributes or {}
        self._reader = reader
        self._sender = sender
        self._sink = sink
        self._role_of = role_of
        self._id = attributes.get(names.SEGMENT_ID) or reader.info.stream_id
        self._track_sid = attributes.get(names.TRANSCRIBED_TRACK_ID) or None
        self._role: Role | None = None
        self._number = number
        self._parts: list[str] = []
        self._chars = 0
        self._due: asyncio.Handle | None = None
        self._whole = False
        self.abandoned = False
        self.task: RootTask | None = None

    async def read(self) -> None:
        """Take in the stream to its end; cut short, what it gave stays."""
        try:
            async for chunk in self._reader:
                self._chars += len(chunk)
                if self._chars > MAX_CHARS:
                    self.abandon()
                    return
                self._parts.append(chunk)
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

    def _report(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        # Joined here and not at each chunk: a burst of chunks would cost its length squared.
        text = "".join(self._parts)
        self._parts = [text]
        # The trailer's attributes are merged into the header's when the stream has ended.
        said_final = (self._reader.info.attributes or {}).get(names.TRANSCRIPTION_FINAL) == "true"
        # Once known it stays, also when the participant leaves. An unknown sender is an agent that
        # was not announced yet: servers let only agents transcribe for others.
        self._role = self._role or self._role_of(self._sender, self._track_sid)
        if text:
            entry = TranscriptEntry(
                id=self._id,
                role=self._role or "agent",
                text=text,
                final=self._whole and said_final,
                opened=self._number,
                stream=self._number,
            )
            self._sink.report(UtteranceHeard(entry))


@final
class Transcriptions:
    """The one handler of a room's transcription topic, and the streams it has open.

    Utterances are numbered by the opening of their streams. Each stream has a reader of its own,
    so one that never ends does not hold up the others; at most `MAX_OPEN` are read at a time.
    """

    def __init__(self, room: rtc.Room, sink: RoomSink, role_of: RoleOf, tasks: TaskOwner) -> None:
        self._room = room
        self._sink = sink
        self._role_of = role_of
        self._tasks = tasks
        self._open: dict[int, _Stream] = {}
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
        stream = _Stream(reader, sender, self._opened, self._sink, self._role_of)
        if len(self._open) >= MAX_OPEN:
            oldest = next(iter(self._open))
            self._open.pop(oldest).abandon()
            self.abandoned += 1
        self._open[self._opened] = stream
        stream.task = self._tasks.start(
            functools.partial(self._read, self._opened, stream), "transcription"
        )

    async def _read(self, number: int, stream: _Stream) -> None:
        try:
            await stream.read()
        except Exception as error:  # noqa: BLE001 - one stream's fault stays its own
            report("reading a transcription", error)
        finally:
            if self._open.pop(number, None) is not None and stream.abandoned:
                self.abandoned += 1
