"""The participant attribute `agent.context`: what a page shows, and which fields it has."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

CONTEXT_BYTES: Final = 16_000
"""Of the attribute, as JSON. LiveKit allows 64,000 bytes for all attributes of a participant."""

ContextFieldKind: TypeAlias = Literal[
    "text", "long_text", "email", "phone", "url", "select", "multi_select", "number", "currency",
    "date", "time", "boolean",
]  # fmt: skip
FieldValue: TypeAlias = str | int | float | bool | tuple[str, ...]


class FieldOption(msgspec.Struct, frozen=True):
    """One value that a field of kind `select` or `multi_select` takes, and its words."""

    value: str
    label: str


class ContextField(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One field; `id` is the name by which a form knows it."""

    id: str
    label: str
    kind: ContextFieldKind = msgspec.field(default_factory=lambda: "text")
    value: FieldValue | None = None
    """None: not published."""
    required: bool = msgspec.field(default_factory=bool)
    description: str = ""
    options: tuple[FieldOption | str, ...] = ()
    selector: str | None = None
    form_id: str | None = None
    region: str | None = None
    """The nearest `data-ll-region` around it."""
    intent: str | None = None
    """Its own `data-ll-intent`, or its form's."""


class AgentContext(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A page, its step and its fields; `truncated` when they were cut to fit the attribute."""

    route: str = ""
    step: int | None = None
    """From 1; None: the page has no steps."""
    step_label: str = ""
    title: str = ""
    available_actions: tuple[str, ...] = ()
    """Commands that its controls serve now: `advance_step`, `go_back`, `submit_flow`."""
    elements: tuple[ContextField, ...] = ()
    truncated: bool = False

    def with_fields(self, fields: tuple[ContextField, ...]) -> AgentContext:
        """The context with `fields` first; what they leave open is taken from the page's own."""
        rest, merged = list(self.elements), list[ContextField]()
        for field in fields:
            same = (one for one in rest if one.id == field.id)
            found = next((one for one in same if field.form_id in (None, one.form_id)), None)
            if found is not None:
                rest.remove(found)
                open_ones = (name for name in _GAPS if getattr(field, name) in (None, "", ()))
                field = replace(field, **{name: getattr(found, name) for name in open_ones})
            merged.append(field)
        return replace(self, elements=(*merged, *rest))

    def to_attribute(self) -> str:
        """Its JSON, of at most `CONTEXT_BYTES`; "" if there is nothing in it.

        What is too long loses the descriptions, then the options, then the last fields.
        """
        if self == _EMPTY:
            return ""
        fields, data = self.elements, msgspec.json.encode(self)
        for bare in ({"description": ""}, {"options": ()}):
            if len(data) > CONTEXT_BYTES:
                fields = tuple(replace(one, **bare) for one in fields)
                data = self._cut(fields)
        while len(data) > CONTEXT_BYTES and fields:
            data = self._cut(fields := fields[:-1])
        if len(data) > CONTEXT_BYTES:
            data = msgspec.json.encode(AgentContext(truncated=True))
        return data.decode()

    def _cut(self, fields: tuple[ContextField, ...]) -> bytes:
        return msgspec.json.encode(replace(self, elements=fields, truncated=True))


_EMPTY: Final = AgentContext()
_GAPS: Final = ("value", "description", "options", "selector", "form_id", "region", "intent")
