"""Lines typed at a terminal, read without a thread."""

from __future__ import annotations

import codecs
import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, final

MAX_LINE: Final = 1000
"""Characters of one line; further ones are ignored."""

HISTORY: Final = 100
"""Lines that the up arrow brings back."""

_KEY: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?|.", re.DOTALL)


@final
class LineEditor:
    """Turns keys into lines: Backspace, Ctrl-W (a word), Ctrl-U (everything), Enter, Ctrl-D.

    The up and down arrows bring back earlier lines.
    """

    def __init__(self) -> None:
        self.text = ""
        """What has been typed since the last Enter."""
        self.ended = False
        """Whether Ctrl-D was typed on an empty line."""
        self._history: list[str] = []
        self._back = 0  # how far back in the history
        self._draft = ""  # what was being typed there
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, keys: bytes) -> list[str]:
        """Process keys; returns the lines that they finished, without empty ones."""
        lines: list[str] = []
        for key in _KEY.findall(self._decoder.decode(keys)):
            match key:
                case "\r" | "\n":
                    lines += self._finish()
                case "\x1b[A" | "\x1bOA":
                    self._recall(self._back + 1)
                case "\x1b[B" | "\x1bOB":
                    self._recall(self._back - 1)
                case "\x7f" | "\b":
                    self.text = self.text[:-1]
                case "\x04" if not self.text:
                    self.ended = True
                    return lines
                case "\x15":
                    self.text = ""
                case "\x17":
                    self.text = "".join(self.text.rstrip().rpartition(" ")[:2])
                case _ if key.isprintable() and len(self.text) < MAX_LINE:
                    self.text += key
                case _:
                    pass
        return lines

    def _finish(self) -> list[str]:
        line, self.text, self._back = self.text.strip(), "", 0
        if not line:
            return []
        if self._history[-1:] != [line]:
            self._history = [*self._history, line][-HISTORY:]
        return [line]

    def _recall(self, back: int) -> None:
        if not 0 <= back <= len(self._history):
            return
        if self._back == 0:
            self._draft = self.text
        self._back = back
        self.text = self._history[-back] if back else self._draft


def keyboard() -> int | None:
    """The descriptor of this process's terminal keyboard; None without a terminal."""
    if sys.platform == "win32":
        return None
    try:
        descriptor = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return descriptor if os.isatty(descriptor) else None


@contextmanager
def keys_one_by_one(descriptor: int) -> Generator[None]:
    """Make the terminal deliver each key at once, without echo; Ctrl-C still interrupts."""
    if sys.platform == "win32":
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor, termios.TCSADRAIN)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
