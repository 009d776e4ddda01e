"""The pytest plugin in the test suite of another distribution, in a separate process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from livelayer_bus.testing import PATIENCE

CLEAN = """
import pytest

def test_plain_fixtures(scripted_rooms, manual_clock):
    assert scripted_rooms.rooms == ()
    assert manual_clock.sleepers == 0

def test_rooms_are_new_for_each_test(scripted_rooms):
    scripted_rooms()
    assert len(scripted_rooms.rooms) == 1
"""

LEAKING = """
import pytest, anyio
from livelayer_bus.tasks import start

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_leaks(no_leaked_tasks):
    start(anyio.sleep_forever, "left behind")
"""


def run(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    file = folder / "test_it.py"
    file.write_text(source)
    return subprocess.run(  # noqa: S603 - our own interpreter, our own file
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            str(file),
        ],
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        check=False,
        cwd=folder,
    )


def test_the_fixtures_are_there_without_any_configuration(tmp_path: Path) -> None:
    result = run(tmp_path, CLEAN)
    assert "2 passed" in result.stdout, result.stdout


def test_a_leaked_task_fails_the_test_that_asked_for_the_guard(tmp_path: Path) -> None:
    result = run(tmp_path, LEAKING)
    assert result.returncode == 1
    assert result.stdout.count("livelayer:left behind") >= 2, result.stdout
