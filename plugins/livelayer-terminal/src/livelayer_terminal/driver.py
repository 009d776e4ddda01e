"""Textual's driver for this surface, and everything else that reaches into Textual's inside.

Checked with Textual 8.2. What its own driver does not do, and this one does:

- `LinuxDriver.write` puts into a queue of 30 and blocks the event loop when a terminal is stuck
  (`_writer_thread.py`); here nothing waits.
- It writes to standard error, so that `2>errors.log` takes the screen away; here it is standard
  output.
- Its input thread spins once the terminal is gone (`run_input_thread`, an empty read), and joining
  it takes a tenth of a second; here the end of input ends the surface.
- Ctrl+C is a key, which a blocked event loop never sees; here it is SIGINT, as in any program.
- Its handler of SIGCONT sets the terminal up a second time, also where it was stopped by SIGSTOP.
- A process that ends without unwinding (SIGKILL, `os._exit`) leaves its screen behind; here a small
  shell that waits for that restores it.
- Its handlers of SIGTSTP, SIGCONT and SIGWINCH stay in place of the application's (`signals_kept`).
"""

# ruff: noqa: SLF001

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
from codecs import getincrementaldecoder
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Final, final

import anyio
import anyio.to_thread
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Key
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from textual._xterm_parser import XTermParser  # isort: skip

from .cells import HALF, SHADES, Cells, Colours, halves, row_text
from .writer import TerminalWriter

RESTORE: Final = (
    "\x1b[?2026l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?2004l\x1b[?1004l\x1b[?2048l"
    "\x1b[?7h\x1b[<u\x1b[?1049l\x1b[?25h\x1b[0m"
)
_KEEPER: Final = 'read -r ended || { stty sane <&2; printf %s "$1" >&2; }'
_SIGNALS: Final = ("SIGTSTP", "SIGCONT", "SIGWINCH", "SIGTTOU", "SIGTTIN")


@contextmanager
def signals_kept() -> Generator[None]:
    """Give the application back the signal handlers that it had before the block."""
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def interrupt() -> None:
    """Do what Ctrl+C does in a terminal."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


class TerminalDriver(LinuxDriver):
    """Draws on this process's terminal, for a `TerminalApp`."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._out = 1 if sys.__stdout__ is None else sys.__stdout__.fileno()
        self._output: Output = app.output  # type: ignore[attr-defined]  # a `TerminalApp`
        self._terminal: TerminalWriter | None = None
        self._keeper: subprocess.Popen[bytes] | None = None
        self._wake: tuple[int, int] | None = None
        self._suspended = False

    @property
    def terminal(self) -> TerminalWriter | None:
        """What writes to the terminal; None before it is set up."""
        return self._terminal

    # Textual makes a thread of its own here and calls `start`, `write` and `stop`.
    @property
    def _writer_thread(self) -> Any:
        return self._terminal

    @_writer_thread.setter
    def _writer_thread(self, _thread: object) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        pass

    def write(self, data: str) -> None:
        if self._terminal is not None:
            self._terminal.write(data)

    def _get_terminal_size(self) -> tuple[int, int]:
        try:
            columns, rows = os.get_terminal_size(self._out)
        except OSError:
            return 80, 24
        return columns or 80, rows or 24

    def start_application_mode(self) -> None:
        call: Callable[[Callable[[], None]], object] = self._loop.call_soon_threadsafe

        def report(what: Callable[[], None]) -> Callable[[], None]:
            def tell() -> None:
                with suppress(RuntimeError):  # the loop is closed
                    call(what)

            return tell

        self._terminal = TerminalWriter(
            self._out, report(self._output.on_drained), report(self._output.redraw)
        )
        self._gone = report(self._output.gone)
        self._wake = os.pipe()
        self._keeper = _start_keeper(self._out)
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def disable_input(self) -> None:
        if self._wake is None:
            return
        with suppress(OSError):
            os.write(self._wake[1], b".")
        super().disable_input()
        if self._key_thread is not None and not self._key_thread.is_alive():
            for end in self._wake:
                os.close(end)
            self._wake = None

    def stop_application_mode(self) -> None:
        super().stop_application_mode()
        keeper, self._keeper = self._keeper, None
        if keeper is not None and keeper.stdin is not None:
            with suppress(OSError):
                keeper.stdin.write(b"ended\n")
                keeper.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                keeper.wait(1)

    def suspend_application_mode(self) -> None:
        self._suspended = True
        super().suspend_application_mode()
        if self._terminal is not None:  # the process stops next, and with it the thread
            self._terminal.join(1)

    def resume_application_mode(self) -> None:
        if self._suspended:
            self._suspended = False
            super().resume_application_mode()
        # Also after SIGSTOP, which takes the screen away without a word to this process.
        self._loop.call_soon_threadsafe(self._output.redraw)

    def close(self) -> None:
        if self._terminal is not None:
            self._terminal.finish()

    def run_input_thread(self) -> None:
        wake = self._wake
        if wake is None:
            return
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(wake[0], selectors.EVENT_READ)
            while not self.exit_event.is_set():
                ready = {key.fd for key, _ in selector.select(0.1)}
                if wake[0] in ready:
                    return
                if self.fileno in ready:
                    try:
                        data = os.read(self.fileno, 4096)
                    except BlockingIOError:
                        continue
                    except OSError:
                        data = b""
                    if not data:
                        self._gone()
                        return
                    for message in parser.feed(decode(data)):
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)

    def process_message(self, message: Message) -> None:
        if isinstance(message, Key) and message.key == "ctrl+c":
            interrupt()  # in this thread: a blocked loop is interrupted too
            return
        super().process_message(message)


def _start_keeper(terminal: int) -> subprocess.Popen[bytes] | None:
    """A shell that restores the terminal if this process ends without doing so."""
    try:
        # In a session of its own: no signal of the terminal reaches it.
        return subprocess.Popen(  # noqa: S603  # its own text
            ["/bin/sh", "-c", _KEEPER, "sh", RESTORE],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=terminal,
            start_new_session=True,
        )
    except OSError:
        return None


@final
class Output:
    """A running app's terminal, for what is written past Textual.

    Args:
        app: whose it is.
        on_gone: called when there is no terminal any more.
    """

    def __init__(self, app: App[Any], on_gone: Callable[[], None]) -> None:
        self._app = app
        self._idle = anyio.Event()
        self.gone = on_gone

    @property
    def _terminal(self) -> TerminalWriter | None:
        driver = self._app._driver
        return driver.terminal if isinstance(driver, TerminalDriver) else None

    @property
    def waiting(self) -> int:
        """Characters that the terminal has not taken yet."""
        return 0 if self._terminal is None else self._terminal.waiting

    @property
    def written(self) -> int:
        """Bytes that it has taken; 0 without a terminal."""
        return 0 if self._terminal is None else self._terminal.written

    async def drained(self) -> None:
        """Return once the terminal has taken everything."""
        while self.waiting:
            await self._idle.wait()

    def on_drained(self) -> None:
        """The terminal has taken everything. Called by the driver."""
        self._idle.set()
        self._idle = anyio.Event()

    def redraw(self) -> None:
        """Draw the screen as a whole, since text was dropped. Called by the driver."""
        self._app.refresh(layout=True)

    def write_over(self, widget: Widget, text: str) -> None:
        """Write over the rows of a widget, if nothing else is drawn there now.

        It is one update of the screen, after which the cursor is where it was.
        """
        app, terminal = self._app, self._terminal
        ready = app._running and not app._batch_count
        if terminal is None or not text or not ready or app.screen is not widget.screen:
            return
        begin, end = ("\x1b[?2026h", "\x1b[?2026l") if app._sync_available else ("", "")
        terminal.write(f"{begin}\x1b7{text}\x1b8{end}")

    async def aclose(self, seconds: float) -> bool:
        """Wait until the terminal has taken the last of it, at most about twice `seconds`.

        What a stuck terminal does not take is dropped: what the application prints next, such as
        its last words, would wait behind it. Returns False in that case.
        """
        terminal = self._terminal
        if terminal is None:
            return True

        def finish() -> bool:
            if terminal.join(seconds):
                return True
            terminal.discard(RESTORE)
            terminal.join(seconds)
            return False

        return await anyio.to_thread.run_sync(finish)


def leave_streams_alone(app: App[Any]) -> None:
    """Have an app without a terminal not capture what is printed.

    Textual replaces `sys.stdout` while an app runs; of two at a time, the last would leave its own
    there.
    """
    app._capture_stdout, app._capture_stderr = sys.stdout, sys.stderr  # type: ignore[assignment]


class PictureStrip(Strip):
    """A row of the picture, with margins, whose segments are made only if Textual asks for them.

    Textual asks a widget for its rows whenever anything beside it changes, and writes few of them.
    """

    def __init__(self, cells: Cells, colours: Colours, left: int, right: int, back: Style) -> None:
        super().__init__((), left + cells.size + right)
        self._row = cells, colours
        self._margins = left, right, back

    @property
    def _segments(self) -> list[Segment]:
        cells, colours = self._row
        left, right, back = self._margins
        picture = [_segment(cell, colours) for cell in cells.tolist()]
        return [Segment(" " * left, back), *picture, Segment(" " * right, back)]

    @_segments.setter
    def _segments(self, _empty: list[Segment]) -> None:
        pass

    def render(self, console: Console) -> str:
        left, right, back = self._margins
        system = console._color_system or ColorSystem.TRUECOLOR
        margins = [back.render(" " * width, color_system=system) for width in (left, right)]
        return margins[0] + row_text(*self._row) + margins[1]


def _segment(cell: int, colours: Colours) -> Segment:
    if colours == "none":
        return Segment(SHADES[cell])
    upper, lower = halves(cell)
    if colours == "256":
        return Segment(HALF, Style(color=f"color({upper})", bgcolor=f"color({lower})"))
    return Segment(HALF, Style(color=f"#{upper:06x}", bgcolor=f"#{lower:06x}"))
