"""The start and the interruption of `livelayer demo`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from livelayer_bus.testing import PATIENCE

COMMAND = [sys.executable, "-c", "from livelayer_bus.cli import main; main()", "demo"]
SECONDS = 5 * PATIENCE  # a bound for a program that hangs, not a measurement
SLOW = ("livekit", "numpy", "livelayer_demo.agent", "livelayer_embedded")


def test_the_command_imports_little_before_it_says_that_it_starts() -> None:
    program = (
        "import sys, livelayer_demo.command\n"
        f"print([name for name in {SLOW!r} if name in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("livelayer demo is starting", ()),
        ("room demo-", ()),
        ("on the web", ()),
        ("the same session in a second process", ("--nats",)),
    ],
)
def test_ctrl_c_at_any_moment_is_one_line_and_130(
    line: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    environ = {name: value for name, value in os.environ.items() if "LIVEKIT" not in name}
    with subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, "--seconds", "30", *options, "--port", "0", "-o", str(tmp_path / "demo.jsonl")],
        env=environ | {"XDG_RUNTIME_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if process.stdout is None:
            pytest.fail("no pipe")
        while not process.stdout.readline().startswith(line):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, errors) == (130, "livelayer: interrupted\n")
