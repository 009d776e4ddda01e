"""What all messages share: the tag, the names on the wire, the check of their fields, commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import msgspec

from ..errors import MalformedMessageError, MisuseError

Capability: TypeAlias = Literal[
    "navigate", "scroll", "click", "fill_forms", "submit_forms", "read_page", "collect_data",
    "ask_approval",
]  # fmt: skip
"""What an agent may do to a surface: an allow-list, empty by default."""

ALL: frozenset[Capability] = frozenset(get_args(Capability))
"""Every capability. LiveLayer's own clients grant all by default; this package grants nothing."""


def check_capabilities(names: Iterable[str]) -> frozenset[Capability]:
    """Return the names as a set of capabilities.

    Raises:
        MisuseError: a name is not a capability; the error lists the valid ones.
    """
    given: object = names
    if isinstance(given, str):
        raise MisuseError(f"capabilities is the text {given!r}: give a list, as in [{given!r}]")
    wanted: set[object] = set(names)
    for name in wanted - ALL:
        words = get_args(Capability)
        close = get_close_matches(name, words, n=1) if isinstance(name, str) else []
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise MisuseError(f"{name!r} is not a capability{hint} (valid: {', '.join(words)})")
    return ALL & wanted


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


class FromAgent(WireMessage, frozen=True):
    """The base of every known message from the agent to a surface (module `from_agent`)."""


class ToAgent(WireMessage, frozen=True):
    """The base of every known message from a surface to the agent (module `to_agent`)."""


class CommandTool(msgspec.Struct, frozen=True):
    """How a command is offered to the agent's language model, as a function tool.

    Its parameters are the command's fields with a `Meta(description=...)`.
    """

    description: str
    name: str = ""
    """The tool's name; empty: the command's wire name."""
    fixed: Mapping[str, Any] = msgspec.field(default_factory=dict[str, Any])
    """Values of fields that the model does not choose, by field name."""


class Command(FromAgent, frozen=True):
    """The base of every message that a surface carries out only if it holds `capability`.

    A subclass declares all of one command: its wire name (`tag`), fields, capability and tool. The
    router, the agent's tools and the codec read it from there.
    """

    capability: ClassVar[Capability]
    tool: ClassVar[CommandTool | None] = None
    """None: the agent sends the command by itself; the model is not offered it."""
    filled: ClassVar[tuple[str, ...]] = ()
    """Its fields with a text that may not be empty."""

    def __post_init__(self) -> None:
        on_wire = dict(zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True))
        for name in self.filled:
            value = getattr(self, name)
            if not (isinstance(value, str) and value):
                self._refuse(f"{on_wire[name]} is {'empty' if value == '' else 'not text'}")


class RawMessage(msgspec.Struct, frozen=True):
    """A message of any other type, whole: `fields` is its JSON object without `type`."""

    type: str
    fields: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if "type" in self.fields:
            raise MalformedMessageError(self.type, "fields repeat 'type'")
