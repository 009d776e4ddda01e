"""The panel stays in one piece on a terminal that is resized while it is drawn."""

from __future__ import annotations

import io
import re

import pytest
from livelayer_terminal.panel import DrawnPanel
from livelayer_terminal.view import ConsoleView
from rich.console import Console

from livelayer_bus.state import SessionState

VIEW = ConsoleView(state=SessionState(id="s", agent_id="agt"), prompt="")
_TOKEN = re.compile(r"\x1b\[(\??\d*(?:;\d+)*)([A-Za-z])|\n|\r|[^\x1b\n\r]+")


class Terminal(io.StringIO):
    """A terminal as long as needed, which wraps its lines again when its width changes."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns
        self.rows = [""]
        self.row = 0
        self.column = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for token in _TOKEN.finditer(text):
            match token[2] or token[0]:
                case "\n":
                    self.row, self.column = self.row + 1, 0
                    self._reach()
                case "\r":
                    self.column = 0
                case "A":
                    self.row = max(0, self.row - int(token[1] or 1))
                case "K":
                    self.rows[self.row] = ""
                case "m" | "h" | "l":
                    pass
                case words if token[2] is None:
                    assert self.column + len(words) <= self.columns
                    old = self.rows[self.row].ljust(self.column)
                    self.rows[self.row] = (
                        old[: self.column] + words + old[self.column + len(words) :]
                    )
                    self.column += len(words)
                case unknown:
                    raise AssertionError(unknown)
        return len(text)

    def resize(self, columns: int) -> None:
        """Wrap each line again; the cursor stays behind the character that it stood behind."""
        self.columns, old, at = columns, self.rows, self.row
        self.rows = []
        for number, line in enumerate(old):
            pieces = [line[i : i + columns] for i in range(0, len(line), columns)] or [""]
            self.rows += pieces
            if number == at:
                self.row, self.column = len(self.rows) - 1, len(pieces[-1])

    def shown(self) -> list[str]:
        return [row.rstrip() for row in self.rows if row.strip()]

    def _reach(self) -> None:
        while len(self.rows) <= self.row:
            self.rows.append("")


@pytest.mark.parametrize("widths", [[80, 50], [100, 30, 90], [40, 80], [110, 21], [60, 60]])
def test_one_panel_is_shown_whatever_the_widths_were(widths: list[int]) -> None:
    terminal = Terminal(widths[0])
    console = Console(file=terminal, force_terminal=True, width=widths[0], height=24)
    panel = DrawnPanel(console, redirect=False)
    console.print("the application")
    for width in widths:
        terminal.resize(width)
        console.width = width
        panel.draw(VIEW)
        panel.draw(VIEW)
        above, top, *inner, bottom = terminal.shown()
        assert (above, top[0], bottom[0]) == ("the application", "╭", "╰")
        assert all(row[0] == row[-1] == "│" for row in inner)
    terminal.resize(20)
    console.width = 20
    panel.erase()
    assert terminal.shown() == ["the application"]
