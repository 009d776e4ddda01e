"""Reads `agent.context`, the participant attribute in which a page describes its fields."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from livelayer_bus.messages import AgentContext, ContextField, nests_too_deeply

T = TypeVar("T", bound=msgspec.Struct)

MAX_FIELDS: Final = 200


def read_context(attribute: str) -> AgentContext | None:
    """Return the context that an attribute holds; None if it holds none.

    It comes from a page, so whatever is not valid in it is left out. Never raises.
    """
    if not attribute or nests_too_deeply(attribute):
        return None
    try:
        data = msgspec.json.decode(attribute)
    except (msgspec.DecodeError, UnicodeError):
        return None
    if not isinstance(data, dict):
        return None
    elements = data.pop("elements", None)
    given = elements if isinstance(elements, list) else []
    fields = [_field(one) for one in given[:MAX_FIELDS] if isinstance(one, dict)]
    found = tuple(field for field in fields if field is not None)
    return msgspec.structs.replace(AgentContext(**_valid(AgentContext, data)), elements=found)


def _field(data: dict[str, Any]) -> ContextField | None:
    members = _valid(ContextField, data)
    if "id" not in members:
        return None
    return ContextField(**{"label": members["id"], **members})


def _valid(kind: type[T], data: dict[str, Any]) -> dict[str, Any]:
    """The members of a record that are valid, by their names in Python."""
    valid = dict[str, Any]()
    for field in msgspec.structs.fields(kind):
        if field.encode_name in data:
            try:
                valid[field.name] = msgspec.convert(data[field.encode_name], field.type)
            except msgspec.ValidationError:
                continue
    return valid
