"""`events.jsonl`: every event of a recording, each a whole line."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast, final

import msgspec

from livelayer_bus import CommandReceived, DataReceived, DataSent, Event, Record
from livelayer_bus.errors import MalformedMessageError
from livelayer_bus.events import AnyEvent
from livelayer_bus.jsonl import (
    EventLine,
    LaggedLine,
    Line,
    SnapshotLine,
    decode_line,
    encode_line,
    utc,
)
from livelayer_bus.state import SessionState

_PACKETS: Final = (DataReceived, DataSent, CommandReceived)


class _Raw(msgspec.Struct):
    raw: str | None = None


def snapshot_line(state: SessionState, time_ns: int) -> bytes:
    """The line that says what was known at a time."""
    cursor = f"{state.id}:{state.sequence}"
    return encode_line(SnapshotLine(cursor, state.sequence, time_ns, utc(time_ns), state))


def lagged_line(missed: int, time_ns: int) -> bytes:
    """The line in the place of events that were lost."""
    return encode_line(LaggedLine(missed, utc(time_ns)))


def event_line(session_id: str, record: Record[Event], event: Event) -> bytes:
    """The line of one event; a packet whose JSON a line cannot carry as it is has `raw` beside it.

    A line has no breaks inside, and JSON does not keep the white space around a value.
    """
    cursor, known = f"{session_id}:{record.sequence}", cast("AnyEvent", event)
    line = encode_line(
        EventLine(cursor, record.sequence, record.time_ns, utc(record.time_ns), known)
    )
    if isinstance(event, _PACKETS):
        payload = bytes(event.payload)
        if payload != payload.strip() or b"\n" in payload or b"\r" in payload:
            line = line[:-2] + b',"raw":"' + base64.b64encode(payload) + b'"}\n'
    return line


def read_events(path: Path) -> Iterator[Line | MalformedMessageError]:
    """The lines of a recording, packets byte for byte; an error in place of an unreadable line.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        for text in file:
            if not text.endswith(b"\n"):
                return  # the process died while it wrote this line
            try:
                line = decode_line(text)
            except MalformedMessageError as exc:
                yield exc
                continue
            if isinstance(line, EventLine) and isinstance(line.event, _PACKETS):
                raw = msgspec.json.decode(text, type=_Raw).raw
                if raw is not None:
                    payload = msgspec.Raw(base64.b64decode(raw))
                    event = msgspec.structs.replace(line.event, payload=payload)
                    line = msgspec.structs.replace(line, event=event)
            yield line


@final
class LineFile:
    """A text file that grows by whole lines; used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Create the file.

        Raises:
            OSError: it cannot be created.
        """
        self._path = path
        self._file = path.open("ab", buffering=0)

    def write(self, lines: bytes) -> None:
        """Write whole lines and hand them to the operating system.

        Raises:
            OSError: they cannot be written, or the file was deleted.
        """
        if not os.fstat(self._file.fileno()).st_nlink:
            raise FileNotFoundError(2, "the file was deleted", str(self._path))
        view = memoryview(lines)
        while view:
            view = view[self._file.write(view) :]

    def close(self) -> None:
        self._file.close()
