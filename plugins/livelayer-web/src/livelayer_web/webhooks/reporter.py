"""Turns what happens in a session into webhooks: their types, ids and bodies."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final, TypeAlias, final

import msgspec

from livelayer_bus import (
    ConnectionStateChanged,
    DataReceived,
    EpochStarted,
    Event,
    Record,
    SessionState,
    TranscriptEntry,
    TranscriptUpdated,
)
from livelayer_bus.clock import now_ns
from livelayer_bus.jsonl import utc
from livelayer_bus.messages import TaskCompleted, TaskFieldUpdated

EVENTS: Final = (
    "session.started",
    "session.ended",
    "transcript.completed",
    "transcript.line",
    "field.collected",
    "collection.completed",
)
"""The types of webhooks. `transcript.line` is each line as it is finished."""

READ: Final = (ConnectionStateChanged, EpochStarted, TranscriptUpdated, DataReceived)
"""The events of a session that they are made of."""
MAX_LINES: Final = 2_000
MAX_CHARACTERS: Final = 262_144
"""Of one transcript; the oldest lines beyond that are left out, and counted."""

Put: TypeAlias = Callable[[str, str, str, bytes], None]
"""Takes an event's id, type, time and body."""


class _Conversation(msgspec.Struct):
    """From joining a room to leaving it."""

    id: str
    agent_id: str
    started_ns: int
    lines: dict[tuple[str | None, str], TranscriptEntry] = {}
    characters: int = 0
    omitted: int = 0


@final
class Reporter:
    """Makes the webhooks of one session at a time.

    Guarantee: what happened once has one id, also when it is read again after the surface was
    mounted anew. It never waits.

    Args:
        put: takes each webhook.
        wanted: types, of `EVENTS`.
    """

    def __init__(self, put: Put, wanted: frozenset[str]) -> None:
        self._put = put
        self._wanted = wanted
        self._session_id = ""
        self._agent_id = ""
        self._conversation: _Conversation | None = None

    def sync(self, state: SessionState) -> None:
        """Go on from this state: of another session, or after events were missed."""
        if state.id != self._session_id:
            self._session_id, self._conversation = state.id, None
        self._agent_id = state.agent_id
        now = now_ns()
        going_on = state.connection_state == "connected"
        if not going_on:
            self._end(state.sequence, now, state.error)
        elif self._conversation is None:
            self._start(state.sequence, now)
        for entry in state.transcript:
            self._said(state.sequence, now, entry)

    def take(self, record: Record[Event]) -> None:
        """Report one event of the session."""
        sequence, at = record.sequence, record.time_ns
        match record.event:
            case ConnectionStateChanged(state="connected"):
                if self._conversation is None:
                    self._start(sequence, at)
            case ConnectionStateChanged(state="disconnected" | "error" | "idle", error=error):
                self._end(sequence, at, error)
            case EpochStarted(agent_id=agent_id):
                self._end(sequence, at, "switched to another agent")
                self._agent_id = agent_id
            case TranscriptUpdated(entry=entry):
                self._said(sequence, at, entry)
            case DataReceived(from_agent=True, message=TaskFieldUpdated()) as event:
                field = event.json()
                self._report("field.collected", sequence, at, {"field": _without_type(field)})
            case DataReceived(from_agent=True, message=TaskCompleted()) as event:
                result = event.json()["result"]
                self._report("collection.completed", sequence, at, {"result": result})
            case _:
                pass

    def _start(self, sequence: int, at: int) -> None:
        name = _hash(self._session_id, sequence, "conversation")
        self._conversation = _Conversation(name, self._agent_id, at)
        self._report("session.started", sequence, at, {})

    def _end(self, sequence: int, at: int, reason: str | None) -> None:
        ended = self._conversation
        if ended is None:
            return
        entries = sorted(ended.lines.values(), key=lambda entry: entry.opened)
        lines = [_line(entry) for entry in entries]
        said = {"transcript": lines, "omitted": ended.omitted}
        self._report("transcript.completed", sequence, at, said)
        seconds = round((at - ended.started_ns) / 1e9, 3)
        self._report("session.ended", sequence, at, {"reason": reason, "seconds": seconds})
        self._conversation = None

    def _said(self, sequence: int, at: int, entry: TranscriptEntry) -> None:
        going_on = self._conversation
        if going_on is None or not entry.final:
            return
        key = entry.sender, entry.id
        before = going_on.lines.pop(key, None)
        going_on.lines[key] = entry
        going_on.characters += len(entry.text) - (len(before.text) if before else 0)
        while len(going_on.lines) > MAX_LINES or going_on.characters > MAX_CHARACTERS:
            oldest = going_on.lines.pop(next(iter(going_on.lines)))
            going_on.characters -= len(oldest.text)
            going_on.omitted += 1
        if before is None or before.text != entry.text:
            self._report("transcript.line", sequence, at, {"line": _line(entry)}, entry.id)

    def _report(
        self, kind: str, sequence: int, at: int, data: dict[str, Any], part: str = ""
    ) -> None:
        if kind not in self._wanted:
            return
        going_on = self._conversation
        body = {
            "type": kind,
            "timestamp": utc(at),
            "data": {
                "session_id": self._session_id,
                "conversation_id": going_on.id if going_on else None,
                "agent_id": going_on.agent_id if going_on else self._agent_id,
                "sequence": sequence,
                **data,
            },
        }
        event_id = f"msg_{_hash(self._session_id, sequence, kind + part)}"
        self._put(event_id, kind, utc(at), msgspec.json.encode(body))


def _line(entry: TranscriptEntry) -> dict[str, str]:
    sender = {} if entry.sender is None else {"sender": entry.sender}
    return {"id": entry.id, "role": entry.role, "text": entry.text, **sender}


def _without_type(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "type"}


def _hash(session_id: str, sequence: int, what: str) -> str:
    return blake2b(f"{session_id} {sequence} {what}".encode(), digest_size=16).hexdigest()
