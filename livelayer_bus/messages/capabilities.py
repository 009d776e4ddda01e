"""What an agent may do to a surface: an allow-list of eight names, empty by default."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal, TypeAlias, get_args

from ..errors import MisuseError

Capability: TypeAlias = Literal[
    "navigate", "scroll", "click", "fill_forms", "submit_forms", "read_page", "collect_data",
    "ask_approval",
]  # fmt: skip

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
    wanted = set(names)
    for name in wanted - ALL:
        raise MisuseError(_unknown(name))
    return ALL & wanted


def _unknown(name: object) -> str:
    words = get_args(Capability)
    close = get_close_matches(name, words, n=1) if isinstance(name, str) else []
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{name!r} is not a capability{hint} (valid: {', '.join(words)})"
