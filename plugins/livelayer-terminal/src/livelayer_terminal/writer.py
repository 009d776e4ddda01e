"""Writing to a terminal from a thread: nothing waits for it, and what it cannot take is dropped."""

from __future__ import annotations

import errno
import os
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, final

LIMIT: Final = 1 << 20  # characters that wait; beyond that the terminal is behind by a whole screen
BLOCK: Final = 1 << 12  # bytes given to the system at once: what a terminal's queue has room for
FULL_SECONDS: Final = 0.005  # between two attempts; `select` may call a full queue writable


@final
class TerminalWriter:
    """Writes text to a descriptor, in order, in a thread of its own.

    Guarantee: `write` never waits. What waits is bounded: past `LIMIT` all of it is dropped, and
    `on_overrun` is called once the terminal takes text again, which must then be drawn as a whole.
    An error of the descriptor ends it: later text is dropped.

    Args:
        descriptor: where to write; it stays open.
        on_drained: called in the thread, each time that everything was written.
        on_overrun: called in the thread, after text was dropped.
    """

    def __init__(
        self, descriptor: int, on_drained: Callable[[], None], on_overrun: Callable[[], None]
    ) -> None:
        self._descriptor = descriptor
        self._on_drained = on_drained
        self._on_overrun = on_overrun
        self._parts: list[str] = []
        self._waiting = 0
        self._overrun = False
        self._ended = self._discards = False
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="livelayer-terminal", daemon=True)
        self.written = 0
        """Bytes that the terminal took."""

    @property
    def waiting(self) -> int:
        """Characters that the terminal has not taken yet."""
        return self._waiting

    def start(self) -> None:
        """Begin to write."""
        self._descriptor = _reopened(self._descriptor)
        self._thread.start()

    def write(self, text: str) -> None:
        """Have `text` written after what was given before."""
        with self._more:
            if self._ended:
                return
            if self._waiting + len(text) > LIMIT:
                self._parts.clear()
                self._waiting = 0
                self._overrun = True
            self._parts.append(text)
            self._waiting += len(text)
            self._more.notify()

    def finish(self) -> None:
        """Accept no more text; what was given is still written."""
        with self._more:
            self._ended = True
            self._more.notify()

    def discard(self, last: str) -> None:
        """Drop what the terminal does not take, in this process and in the system; write `last`."""
        with self._more:
            self._parts[:] = [last]
            self._discards = self._ended = True
            if self._descriptor >= 0:
                with suppress(termios.error):
                    termios.tcflush(self._descriptor, termios.TCOFLUSH)
            self._more.notify()

    def join(self, seconds: float) -> bool:
        """Wait in the calling thread until everything is written; False after `seconds`."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._write_all()
        finally:
            with self._more:
                os.close(self._descriptor)
                self._descriptor = -1

    def _write_all(self) -> None:
        while True:
            with self._more:
                while not self._parts and not self._ended:
                    self._more.wait()
                text, self._discards = "".join(self._parts), False
                self._parts.clear()
                if not text:
                    return
            if not self._put(text.encode("utf-8", "replace")):
                with self._more:
                    self._ended, self._waiting = True, 0
                    self._parts.clear()
                self._on_drained()
                return
            with self._more:
                self._waiting = max(0, self._waiting - len(text)) if self._parts else 0
                drained, overrun = not self._parts, self._overrun
                self._overrun = False
            if overrun:
                self._on_overrun()
            if drained:
                self._on_drained()

    def _put(self, data: bytes) -> bool:
        left = memoryview(data)
        while left and not self._discards:
            try:
                count = os.write(self._descriptor, left[:BLOCK])
            except BlockingIOError:
                with self._more:
                    self._more.wait(FULL_SECONDS)
                continue
            except OSError as error:
                if error.errno == errno.EINTR:
                    continue
                return False
            self.written += count
            left = left[count:]
        return True


def _reopened(descriptor: int) -> int:
    """The terminal opened again, so that its writes do not block, and those of others still do.

    A write that blocks cannot be ended: flushing the queue does not wake it. Where the terminal
    cannot be opened (it belongs to another user), it is the same opening.
    """
    try:
        return os.open(os.ttyname(descriptor), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return os.dup(descriptor)
