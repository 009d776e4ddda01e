"""What people may send from pages into the conversation: the application's choice for a surface."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from livelayer_bus import MisuseError

from .http import Problem
from .media import KINDS, SourceKind
from .messages import TYPED

Permission: TypeAlias = SourceKind | Literal["typing"]
"""microphone, camera, screen: the page's media. typing: a person's lines, `user_message`."""

PERMISSIONS: Final[frozenset[Permission]] = frozenset({*KINDS, "typing"})
"""Every permission: the default of a surface."""


def check_permissions(allow: Iterable[Permission]) -> frozenset[Permission]:
    """The permissions as a set.

    Raises:
        MisuseError: one of them does not exist, or it is a text instead of a list.
    """
    given = frozenset(allow)
    if isinstance(allow, str) or not given <= PERMISSIONS:
        raise MisuseError(f"allow is {allow!r}: give a list of {', '.join(sorted(PERMISSIONS))}")
    return given


def require(permission: Permission, allowed: frozenset[Permission]) -> None:
    """Check that the surface allows it.

    Raises:
        Problem: it does not.
    """
    if permission not in allowed:
        raise Problem(403, "not_allowed", f"this surface does not allow {permission}")


def check_message(message: Mapping[str, Any], allowed: frozenset[Permission]) -> None:
    """Check that a page may send the message: typed lines need `typing`.

    Raises:
        Problem: the surface does not allow typing.
    """
    if message.get("type") == TYPED:
        require("typing", allowed)
