"""Server-sent events: the frames of an event stream."""

from __future__ import annotations

import time
from typing import Final, Literal, TypeAlias

import msgspec

from livelayer_bus.bus import Record
from livelayer_bus.events import Event
from livelayer_bus.jsonl import utc
from livelayer_bus.state import SessionState

Bye: TypeAlias = Literal["unmounted", "revoked", "closed"]
"""Why a stream ends. After `unmounted` the page tries again."""

BEAT: Final = b": beat\n\n"
"""A comment that shows that the server is alive."""

_encoder = msgspec.json.Encoder()


class _Snapshot(msgspec.Struct, frozen=True, tag="snapshot", tag_field="line"):
    cursor: str
    sequence: int
    time: str
    state: SessionState
    resumed: bool


class _Event(msgspec.Struct, frozen=True, tag="event", tag_field="line"):
    cursor: str
    sequence: int
    time: str
    event: Event


class ShownQuality(msgspec.Struct, frozen=True):
    """The quality that a page is sent."""

    height: int
    bitrate: int
    """bit/s"""


class Info(msgspec.Struct, frozen=True):
    """The number of pages, whether this one is active, and its quality."""

    viewers: int
    active: bool
    quality: ShownQuality | None


def snapshot_frame(state: SessionState, resumed_after: str | None = None) -> bytes:
    """The state as of its sequence.

    Its `id` is the cursor to resume after a cut: the snapshot's own, or, while a resumed stream
    still owes events, the cursor that was resumed.
    """
    cursor = f"{state.id}:{state.sequence}"
    now = utc(time.monotonic_ns())
    data = _Snapshot(cursor, state.sequence, now, state, resumed_after is not None)
    return _frame("snapshot", data, resumed_after or cursor)


def event_frame(session_id: str, record: Record[Event]) -> bytes:
    """One event."""
    cursor = f"{session_id}:{record.sequence}"
    return _frame(
        "event", _Event(cursor, record.sequence, utc(record.time_ns), record.event), cursor
    )


def lagged_frame(missed: int) -> bytes:
    """Events that this stream lost; a snapshot follows."""
    return _frame("lagged", {"line": "lagged", "missed": missed})


def command_frame(number: int, message: bytes) -> bytes:
    """A command for the page to carry out."""
    return _frame("command", {"number": number, "message": msgspec.Raw(message)})


def info_frame(info: Info) -> bytes:
    """The number of pages, whether this one is active, and its quality."""
    return _frame("info", info)


def bye_frame(reason: Bye) -> bytes:
    """The stream ends."""
    return _frame("bye", {"reason": reason})


def _frame(event: str, data: object, cursor: str | None = None) -> bytes:
    text = _encoder.encode(data)
    # A line break can only be white space of a raw payload.
    if b"\n" in text or b"\r" in text:
        text = msgspec.json.format(text, indent=-1)
    head = f"event: {event}\n" if cursor is None else f"event: {event}\nid: {cursor}\n"
    return head.encode() + b"data: " + text + b"\n\n"
