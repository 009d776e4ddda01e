"""How hypothesis makes events: every field of every class."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
from hypothesis import strategies as st

from livelayer_bus import events

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
TEXT_OF_JSON = JSON.map(lambda value: msgspec.Raw(json.dumps(value).encode()))
COUNTS = st.integers(0, 2**53)
BY_FIELD: dict[str, st.SearchStrategy[Any]] = {
    "number": COUNTS,
    "attempt": st.integers(0, 9),
    "epoch": COUNTS,
    "seconds": st.floats(0, 1e6),
    "payload": TEXT_OF_JSON,
    "opened": COUNTS,
    "stream": COUNTS,
    "counts": st.dictionaries(st.text(), NUMBERS, max_size=3),
}


def _fields(cls: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: BY_FIELD.get(field.name, ...) for field in msgspec.structs.fields(cls)}


def _packets(cls: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Packets as they are made: their bytes decide on `payload` and `is_json`."""
    rest = {k: v for k, v in _fields(cls).items() if k not in ("payload", "is_json")}
    data = st.binary() | JSON.map(lambda value: json.dumps(value, indent=1).encode())
    made = data.map(events.packet_payload)
    return made.flatmap(
        lambda packet: st.builds(
            cls, **rest, payload=st.just(packet[0]), is_json=st.just(packet[1])
        )
    )


for _cls in (
    events.TranscriptEntry,
    events.AgentConfig,
    events.ModelUsage,
    *get_args(events.AnyEvent),
):
    st.register_type_strategy(
        _cls,
        _packets(_cls)
        if issubclass(_cls, events.DataReceived | events.DataSent)
        else st.builds(_cls, **_fields(_cls)),
    )
