"""Ctrl-C at any moment: one line, exit code 130, and no process is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from livelayer_bus.testing import PATIENCE

LINE = "livelayer: interrupted\n"
STARTING = "livelayer demo is starting: a room, an agent and a site on this machine\n"
IMPORT = "import time:"
BLOCKED = """
import time
from livelayer_bus.cli import exits
exits.GRACE_SECONDS = 0.0

async def block():
    print("blocked", flush=True)
    while True:
        time.sleep(60)

exits.run_async(block)
"""


def interrupted(
    command: list[str], cwd: Path, environ: dict[str, str], marks: list[str]
) -> tuple[int, str]:
    """Interrupt as a terminal does, all of its processes, once it has printed the `marks` in turn.

    Returns the exit code, and what else was printed until the last of the processes had ended.
    """
    with subprocess.Popen(  # noqa: S603 - our own command
        command,
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    ) as process:
        if process.stdout is None:
            pytest.fail("no pipe")
        for mark in marks:
            if not any(mark in line for line in process.stdout):
                pytest.fail(f"it ended before {mark!r}")
        os.killpg(process.pid, signal.SIGINT)
        # Every process that it started has the pipe, which ends with the last of them.
        rest = "".join(line for line in process.stdout if not line.startswith(IMPORT))
        return process.wait(5 * PATIENCE), rest


@pytest.mark.parametrize("imports", [60, 200, 450])
@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--port", "0"],
        ["bench", "startup", "--quick"],
        ["serve", "--port", "0"],
        ["dev-server", "--port", "0"],
        ["doctor"],
        ["run"],
        ["tail"],
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_while_a_command_is_imported(
    tmp_path: Path,
    command: list[str],
    environ: dict[str, str],
    arguments: list[str],
    imports: int,
) -> None:
    (tmp_path / "livelayer.toml").write_text("agent_id = 'a'\nbase_url = 'https://b.invalid'\n")
    python, *rest = command
    marks = [" livelayer_bus.cli\n", *[IMPORT] * imports]
    verbose = [python, "-X", "importtime", *rest, *arguments]
    code, printed = interrupted(verbose, tmp_path, environ, marks)
    assert code == 130
    assert printed.replace(STARTING, "") == LINE


def test_while_a_benchmark_measures(
    tmp_path: Path, command: list[str], environ: dict[str, str]
) -> None:
    bench = [*command, "bench", "bus", "--quick"]
    code, printed = interrupted(bench, tmp_path, environ, ["measuring bus"])
    assert (code, printed) == (130, LINE)


def test_while_something_blocks_the_event_loop(tmp_path: Path, environ: dict[str, str]) -> None:
    program = [sys.executable, "-c", BLOCKED]
    code, printed = interrupted(program, tmp_path, environ, ["blocked"])
    assert (code, printed) == (130, LINE)


def test_python_is_all_that_is_imported_before_an_interrupt_is_handled() -> None:
    program = (
        "import sys\nbefore = set(sys.modules)\nimport livelayer_bus.cli\n"
        "print({'typing', 'signal', 'asyncio'} & (set(sys.modules) - before))"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=5 * PATIENCE,
    )
    assert done.stdout.strip() == "set()"
