"""The snippets of the README run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from livelayer_embedded import Faults

from livelayer_bus.testing import PATIENCE

README = (Path(__file__).parents[2] / "README.md").read_text()
TEST, PROGRAM = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)
SECONDS = 5 * PATIENCE  # a bound for a program that hangs, not a measurement


def run(text: str, path: Path, *command: str) -> str:
    path.write_text(text)
    done = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, *command, str(path)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd=path.parent,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_fixture_serves_the_test_of_the_readme(tmp_path: Path) -> None:
    assert "1 passed" in run(TEST, tmp_path / "test_readme.py", "-m", "pytest", "-q")


def test_the_program_of_the_readme_resumes(tmp_path: Path) -> None:
    assert run(PROGRAM, tmp_path / "program.py") == "resumed: alice\n"


def test_the_readme_lists_every_fault() -> None:
    listed = set(re.findall(r"^\| `(\w+)\(", README, re.M))
    internal = {"statistics", "takes_join", "takes_trailer", "data_delivered"}
    assert listed == {name for name in vars(Faults) if not name.startswith("_")} - internal
