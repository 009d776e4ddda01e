"""What a recording leaves out: the values of form fields, and what the application decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec.structs import replace

from livelayer_bus import CommandReceived, DataReceived, DataSent, Event, TranscriptUpdated
from livelayer_bus.messages import capability_of
from livelayer_bus.state import SessionState

Redact: TypeAlias = Callable[[Event], Event | None]
"""Given each event before it is written; returns it, one that stands in its place, or None to
leave it out. It is called in the session's event loop: return at once."""

REDACTED: Final = "[redacted]"

_VALUES: Final = frozenset({"value", "values", "results", "defaultValue"})
"""Members whose values a person, or the agent on their behalf, entered."""

P = TypeVar("P", DataReceived, DataSent, CommandReceived)


def without_field_values(event: Event) -> Event:
    """The event without the values of form fields; the fields' names stay."""
    match event:
        case DataReceived(is_json=True):
            return _without_values(event, event.type)
        case DataSent(is_json=True):
            return _without_values(event, event.type)
        case CommandReceived():
            return _without_values(event, event.command)
        case _:
            return event


def redacted_state(state: SessionState, redact: Redact) -> SessionState:
    """The state with the utterances that `redact` leaves of its transcript."""
    entries = [redact(TranscriptUpdated(entry)) for entry in state.transcript]
    kept = tuple(one.entry for one in entries if isinstance(one, TranscriptUpdated))
    return state if kept == state.transcript else replace(state, transcript=kept)


def _without_values(event: P, kind: str | None) -> P:
    holds_values = kind == "page_context" or (
        kind is not None and capability_of(kind) in ("fill_forms", "collect_data")
    )
    if not holds_values:
        return event
    fields: Any = msgspec.json.decode(bytes(event.payload))
    return replace(event, payload=msgspec.Raw(msgspec.json.encode(_cleaned(fields))))


def _cleaned(value: Any) -> Any:
    match value:
        case dict():
            return {
                name: _blanked(item) if name in _VALUES else _cleaned(item)
                for name, item in value.items()
            }
        case list():
            return [_cleaned(item) for item in value]
        case _:
            return value


def _blanked(value: Any) -> Any:
    match value:
        case dict():
            return {name: _blanked(item) for name, item in value.items()}
        case list():
            return [_blanked(item) for item in value]
        case None:
            return None
        case _:
            return REDACTED
