"""The panel on a terminal: drawn over the one before, also after the terminal was resized."""

from __future__ import annotations

from typing import final

from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType

from .view import ConsoleScreen, ConsoleView, panel_size


@final
class DrawnPanel:
    """The console's one panel; used by one thread at a time.

    A terminal that gets narrower wraps the lines it has, so that they take more rows than rich
    moves up: the panel before is erased as a whole. Where a terminal cuts its lines instead, as
    many rows above the panel are erased.
    """

    def __init__(self, console: Console, *, redirect: bool) -> None:
        self._console = console
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=redirect,
            redirect_stderr=redirect,
            vertical_overflow="crop",
        )
        self._drawn = 0, 0  # columns and rows

    def draw(self, view: ConsoleView) -> None:
        """Draw the panel, or draw it again."""
        self._erase_wrapped()
        self._live.start()  # does nothing if already started
        self._live.update(ConsoleScreen(view), refresh=True)
        columns, rows = panel_size(*self._console.size)
        self._drawn = columns, min(rows, self._console.height)

    def erase(self) -> None:
        """Erase the panel, at the end."""
        self._erase_wrapped()
        self._live.stop()

    def _erase_wrapped(self) -> None:
        columns, rows = self._drawn
        more = rows * (-(-columns // self._console.width) - 1)
        if more > 0:
            line = ControlType.ERASE_IN_LINE, 2
            up = ControlType.CURSOR_UP, 1
            self._console.control(Control(ControlType.CARRIAGE_RETURN, line, *(up, line) * more))
        self._drawn = 0, 0
