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

_ESCAPE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?")


@final
class LineEditor:
    """Turns keys into lines: Backspace, Ctrl-W (a word), Ctrl-U (everything), Enter, Ctrl-D."""

    def __init__(self) -> None:
        self.text = ""
        """What has been typed since the last Enter."""
        self.ended = False
        """Whether Ctrl-D was typed on an empty line."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, keys: bytes) -> list[str]:
        """Process keys; returns the lines that they finished, without empty ones."""
        lines: list[str] = []
        for key in _ESCAPE.sub("", self._decoder.decode(keys)):
            match key:
                case "\r" | "\n":
                    lines.append(self.text.strip())
                    self.text = ""
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
        return [line for line in lines if line]


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
