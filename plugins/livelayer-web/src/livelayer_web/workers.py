"""Several worker processes behind one address: noticed, since each has sessions of its own."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from itertools import groupby
from typing import Final, final

from .http import Problem

logger = logging.getLogger(__name__)
INSTANCE_HEADER: Final = "x-livelayer-instance"
"""Says, with `401 viewer`, which mounted surface does not know the key."""

_HERE: Final = (
    "another process of this server has the session of this page: serve it by one process "
    "(uvicorn --workers 1, gunicorn --workers 1)"
)
_TURNS: Final = (
    "several servers answer this page in turn, each with a session of its own: serve it by one "
    "process, or send each page to the same one"
)


def several(detail: str) -> Problem:
    """The problem that several processes answer at one address. It is logged, too, once."""
    _log_once(detail)
    return Problem(409, "workers", detail)


@cache
def _log_once(detail: str) -> None:
    logger.error("%s; docs/deployment.md says more", detail)


def check_process(stamped: Iterable[str | None]) -> None:
    """Check that no sibling process made these keys or names.

    Raises:
        Problem: one of them was made by another process that runs now and has the same parent.
    """
    if any(_process.has_sibling(value.partition(".")[0]) for value in stamped if value):
        raise several(_HERE)


def check_turns(instances: Sequence[str], own: str) -> None:
    """Check that a page did not come back to a server after another one had taken its place.

    A server that was restarted never comes back as the instance that it was.

    Args:
        instances: those that the page met, oldest first.
        own: the one that it asks now.

    Raises:
        Problem: one of them was met again.
    """
    turns = [one for one, _ in groupby([*instances, own])]
    if len(set(turns)) < len(turns):
        raise several(_TURNS)


def stamp(secret: str) -> str:
    """The key or name, in front of which stands which process made it."""
    return f"{_process.name}.{secret}"


def leave() -> None:
    """This process is ending: pages may go to the next one."""
    _process.leave()


@final
class _Process:
    """This process, by a name that its siblings can look up.

    The name is a socket in Linux's abstract namespace, which the system removes with the process;
    on other systems no sibling is found. A server's workers are children of one process. Two
    servers of one machine, of which one takes the place of the other, are not.
    """

    def __init__(self) -> None:
        self._name = ""
        self._held: socket.socket | None = None

    @property
    def name(self) -> str:
        """Made when it is first needed: a server may fork after it has loaded the application."""
        if not self._name:
            self._name = secrets.token_hex(6)
            if sys.platform == "linux":
                with suppress(OSError):  # a sandbox may allow none: then it is not found
                    self._held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                    self._held.bind(_address(self._name))
        return self._name

    def has_sibling(self, name: str) -> bool:
        """Whether another child of this process's parent has the name now."""
        if sys.platform != "linux" or name == self._name or not name.isalnum():
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
                probe.connect(_address(name))
        except OSError:
            return False
        return True

    def leave(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def forked(self) -> None:
        """In a child: the name is its parent's."""
        self.leave()
        self._name = ""


def _address(name: str) -> bytes:
    return f"\0livelayer-web-{os.getppid()}-{name}"[:100].encode()


_process: Final = _Process()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_process.forked)
