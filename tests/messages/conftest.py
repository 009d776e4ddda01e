"""How hypothesis makes messages: every field of every class, optional ones included."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from livelayer_bus import messages

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(min_size=1)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=4)
BY_FIELD: dict[str, st.SearchStrategy[Any]] = {
    "href": st.sampled_from(["/", "/a b?c#d", "https://x.example/y", "?page=2", "#top"]),
    "selector": TEXTS,
    "form_id": TEXTS,
    "field_name": TEXTS,
    "value": JSON,
    "context": JSON,
    "results": OBJECTS,
    "routes": st.lists(st.text() | OBJECTS, max_size=4).map(tuple),
    "started_at": NUMBERS | st.text(),
    "ended_at": NUMBERS | st.text(),
    "question": TEXTS,
    "seconds": st.floats(0.1, 600),
    "counts": st.dictionaries(st.text(), NUMBERS, max_size=4),
}


def _register(cls: type[msgspec.Struct]) -> None:
    fields: dict[str, Any] = {
        field.name: BY_FIELD.get(field.name, ...) for field in msgspec.structs.fields(cls)
    }
    st.register_type_strategy(cls, st.builds(cls, **fields))


for _value in vars(messages).values():
    if isinstance(_value, type) and issubclass(_value, messages.WireMessage):
        _register(_value)
_register(messages.TaskResult)
_register(messages.ModelUsage)
st.register_type_strategy(
    messages.RawMessage,
    st.builds(
        messages.RawMessage,
        st.text().filter(lambda name: messages.by_type(name) is None),
        OBJECTS.map(lambda fields: {k: v for k, v in fields.items() if k != "type"}),
    ),
)
