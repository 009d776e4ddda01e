"""Where and when a session may be used: opened once, closed once, in one loop of one process."""

from __future__ import annotations

import os
from typing import final

import anyio.lowlevel

from ..errors import ClosedError, ForkedError, MisuseError, WrongLoopError


@final
class Lifetime:
    """Refuses a call that comes too early, too late or from another loop or process."""

    def __init__(self) -> None:
        self._loop: object | None = None
        self._process = os.getpid()
        self.closed = False

    @property
    def forked(self) -> bool:
        """Whether this is a forked child of the session's process."""
        return os.getpid() != self._process

    def open(self) -> None:
        """Begin in the running loop: `MisuseError` if it was begun before, or as `check`."""
        self._check_alive()
        if self._loop is not None:
            raise MisuseError("this session is open already: enter it once, and share the object")
        self._loop = anyio.lowlevel.current_token()

    def check(self) -> None:
        """Check that a public call is allowed.

        Raises:
            MisuseError: the session is not open yet.
            ClosedError: it was closed.
            ForkedError: it belongs to the process that this one was forked from.
            WrongLoopError: the call comes from another event loop.
        """
        self._check_alive()
        if self._loop is None:
            raise MisuseError("this session is not open: use 'async with Session(...)'")
        self.check_loop()

    def check_loop(self) -> None:
        """Raise `WrongLoopError` if the call comes from another event loop."""
        try:
            current = anyio.lowlevel.current_token()
        except RuntimeError:
            return  # a callback of the loop, or another thread: there the bus checks
        if self._loop is not None and current != self._loop:
            owner, caller = f"event loop {self._loop!r}", f"event loop {current!r}"
            hint = "open a session of its own in each event loop"
            raise WrongLoopError("this session", owner, caller, hint)

    def _check_alive(self) -> None:
        if self.forked:
            raise ForkedError("this session")
        if self.closed:
            raise ClosedError("this session")
