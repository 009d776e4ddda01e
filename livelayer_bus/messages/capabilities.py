"""What an agent may do to a surface: an allow-list of seven words, empty unless given."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal, TypeAlias, get_args

from ..errors import MisuseError
from .base import RawMessage, WireMessage

Capability: TypeAlias = Literal[
    "navigate", "scroll", "click", "fill_forms", "submit_forms", "read_page", "collect_data"
]

ALL: frozenset[Capability] = frozenset(get_args(Capability))
"""Every capability: upstream's default. Here the default is none."""

_GOVERNED: dict[str, Capability] = {
    "navigate": "navigate",
    "scroll_to": "scroll",
    "scroll_page": "scroll",
    "click": "click",
    "fill_form": "fill_forms",
    "focus_field": "fill_forms",
    "submit_form": "submit_forms",
    "request_page_context": "read_page",
    "request_routes": "read_page",
    "task_field_updated": "collect_data",
    "task_completed": "collect_data",
}


def capability_of(message: WireMessage | RawMessage | str) -> Capability | None:
    """The capability that a message, or a message of this `type`, needs; None when it needs none.

    Every type that begins with `task_` collects data, those of a later upstream included.
    """
    match message:
        case str():
            name = message
        case RawMessage():
            name = message.type
        case _:
            name = message.wire_type()
    return "collect_data" if name.startswith("task_") else _GOVERNED.get(name)


def check_capabilities(names: Iterable[str]) -> frozenset[Capability]:
    """The names as a set of capabilities.

    Raises:
        MisuseError: one of them is no capability; the error lists those there are.
    """
    given: object = names
    if isinstance(given, str):
        raise MisuseError(f"capabilities is the text {given!r}: give a list, as in [{given!r}]")
    known = {name: name for name in get_args(Capability)}
    checked: set[Capability] = set()
    for name in names:
        if name not in known:
            raise MisuseError(_unknown(name))
        checked.add(known[name])
    return frozenset(checked)


def _unknown(name: object) -> str:
    words = get_args(Capability)
    close = get_close_matches(name, words, n=1) if isinstance(name, str) else []
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{name!r} is no capability{hint} (there are: {', '.join(words)})"
