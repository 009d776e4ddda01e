"""What all messages share: the tag, the names on the wire, and the check of their own fields."""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import MalformedMessageError


class WireMessage(
    msgspec.Struct, frozen=True, tag_field="type", rename="camel", omit_defaults=True
):
    """A message that has a known `type`; optional fields that are not set stay off the wire."""

    @classmethod
    def wire_type(cls) -> str:
        """The `type` that names this message on the wire."""
        return str(cls.__struct_config__.tag)

    def _refuse(self, problem: str | None) -> None:
        if problem is not None:
            raise MalformedMessageError(self.wire_type(), problem)

    def _require_text(self, **fields: object) -> None:
        for name, value in fields.items():
            if not isinstance(value, str):
                self._refuse(f"{name} is no text")
            elif not value:
                self._refuse(f"{name} is empty")


class RawMessage(msgspec.Struct, frozen=True):
    """A message of any other type, whole: `fields` is its JSON object without `type`."""

    type: str
    fields: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if "type" in self.fields:
            raise MalformedMessageError(self.type, "fields repeat 'type'")
