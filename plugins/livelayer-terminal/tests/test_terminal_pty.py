"""The terminal surface in a real pseudo-terminal: how it ends, and what it leaves behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from livelayer_bus.testing import PATIENCE

PROGRAM = Path(__file__).with_name("terminal_program.py")
LONG = 5 * PATIENCE  # a bound for a program that hangs, not a measurement
LOOK = 0.05  # seconds between two looks at it
ECHO = termios.ECHO | termios.ICANON | termios.ISIG
SWITCHES = {
    "screen": (b"\x1b[?1049h", b"\x1b[?1049l"),
    "cursor": (b"\x1b[?25l", b"\x1b[?25h"),
    "mouse": (b"\x1b[?1003h", b"\x1b[?1003l"),
    "paste": (b"\x1b[?2004h", b"\x1b[?2004l"),
}


class Program:
    """The program in a pseudo-terminal of 80 x 24."""

    def __init__(self, ending: str, folder: Path) -> None:
        self.folder = folder
        self.master, self.terminal = pty.openpty()
        self.resize(80, 24)
        self.before = termios.tcgetattr(self.terminal)
        self.output = b""
        environ = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
        environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONUTF8": "1"}
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, str(PROGRAM), ending, str(folder)],
            stdin=self.terminal,
            stdout=self.terminal,
            stderr=self.terminal,
            env=environ,
            start_new_session=True,
        )

    def resize(self, columns: int, rows: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, size)

    def waits_for(self, true: Callable[[], object], what: str) -> None:
        """Wait without reading: the terminal takes no more than the system's buffer."""
        end = time.monotonic() + LONG
        while not true():
            if time.monotonic() > end:
                pytest.fail(f"{what}: {self.output[-2000:]!r}")
            select.select((), (), (), LOOK)

    def read_until(self, true: Callable[[], object], what: str) -> None:
        end = time.monotonic() + LONG
        while not true():
            if time.monotonic() > end:
                pytest.fail(f"{what}: {self.output[-2000:]!r}")
            if select.select((self.master,), (), (), LOOK)[0]:
                self.output += os.read(self.master, 1 << 16)

    def shows(self, text: str) -> None:
        self.read_until(lambda: text.encode() in self.output, f"no {text!r}")

    def is_up(self) -> None:
        self.shows("Hello there.")
        self.read_until(lambda: b"\x1b[48;2;" in self.output, "no picture")

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def is_restored(self) -> bool:
        flags = termios.tcgetattr(self.terminal)[3]
        return flags & ECHO == self.before[3] & ECHO and all(
            self.output.rfind(off) > self.output.rfind(on) for on, off in SWITCHES.values()
        )

    def ends(self) -> int:
        self.read_until(lambda: self.process.poll() is not None, "it goes on")
        self.read_until(self.is_restored, "the terminal is not restored")
        return self.process.returncode

    def is_stopped(self) -> bool:
        options = os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        state = os.waitid(os.P_PID, self.process.pid, options)
        assert state is None or state.si_code != os.CLD_EXITED, self.output[-2000:]
        return state is not None and state.si_code == os.CLD_STOPPED

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for descriptor in (self.master, self.terminal):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Program]]:
    started: list[Program] = []

    def run(ending: str) -> Program:
        started.append(Program(ending, tmp_path))
        return started[-1]

    yield run
    for program in started:
        program.close()


@pytest.mark.parametrize(
    ("ending", "end", "code"),
    [
        ("control-c", lambda program: program.type(b"\x03"), 130),
        ("control-c in kitty", lambda program: program.type(b"\x1b[99;5u"), 130),
        ("terminated", lambda program: program.process.terminate(), 143),
        ("control-d", lambda program: program.type(b"\x04"), 0),
        ("raise", lambda program: program.type(b"now\r"), 1),
        ("_exit", lambda program: program.type(b"now\r"), 7),
        ("killed", lambda program: program.process.kill(), -9),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_terminal_is_restored_however_it_ends(
    start: Callable[[str], Program], ending: str, end: Callable[[Program], None], code: int
) -> None:
    program = start(ending)
    program.is_up()
    assert not program.is_restored()
    end(program)
    assert program.ends() == code
    if ending == "control-d":
        assert (program.folder / "report").read_text() == "ended connected"
        after = program.output[program.output.rfind(b"\x1b[?1049l") :]
        assert b"printed by the program" in after  # it would be lost with the screen


@pytest.mark.parametrize("moment", ["start", "import", "screen"])
def test_control_c_at_any_moment_ends_it(
    start: Callable[[str], Program], moment: str, tmp_path: Path
) -> None:
    program = start("moment")
    if moment == "start":
        program.process.send_signal(signal.SIGINT)  # nothing of ours runs yet
        program.read_until(lambda: program.process.poll() is not None, "it goes on")
        return
    if moment == "screen":
        program.shows("\x1b[?1049h")
    else:
        program.read_until((tmp_path / "beat").exists, "it does not start")
    program.process.send_signal(signal.SIGINT)
    assert program.ends() == 130


def test_a_resized_terminal_is_drawn_in_its_new_size(start: Callable[[str], Program]) -> None:
    program = start("resize")
    program.is_up()
    program.output = b""
    program.resize(120, 40)
    program.process.send_signal(signal.SIGWINCH)
    # The picture is written at rows that were not there before.
    program.read_until(
        lambda: any(int(row) > 24 for row in re.findall(rb"\x1b\[(\d+);\d+H", program.output)),
        "it keeps its size",
    )
    program.type(b"\x04")
    program.read_until(lambda: program.process.poll() is not None, "it goes on")


def test_a_terminal_that_is_gone_ends_the_surface_alone(start: Callable[[str], Program]) -> None:
    program = start("hangup")
    program.is_up()
    os.close(program.master)
    os.close(program.terminal)
    program.master = program.terminal = -1
    program.process.wait(LONG)
    assert (program.folder / "report").read_text() == "ended connected"


@pytest.mark.parametrize(
    ("keys", "code"), [(b"\x04", 0), (b"\x03", 130)], ids=["left", "control-c"]
)
def test_a_stuck_terminal_stops_neither_the_session_nor_its_end(
    start: Callable[[str], Program], keys: bytes, code: int
) -> None:
    program = start("stuck")
    program.is_up()
    beat = program.folder / "beat"
    first = int(beat.read_text() or 0)
    program.waits_for(lambda: int(beat.read_text() or first) > first + 150, "it stands still")
    program.type(keys)
    program.waits_for(lambda: program.process.poll() is not None, "it goes on")
    program.output = b""
    assert program.ends() == code


def test_a_stopped_process_gives_the_terminal_back(start: Callable[[str], Program]) -> None:
    program = start("stopped")
    program.is_up()
    program.type(b"\x1a")
    program.read_until(program.is_stopped, "it is not stopped")
    program.read_until(program.is_restored, "the terminal is not restored")
    program.output = b""
    program.process.send_signal(signal.SIGCONT)
    program.read_until(lambda: b"\x1b[?1049h" in program.output, "no screen again")
    program.is_up()
    program.type(b"\x04")
    assert program.ends() == 0
