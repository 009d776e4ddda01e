"""The README's program runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from livelayer_bus.testing import PATIENCE

README = Path(__file__).parents[1] / "README.md"
SECONDS = 5 * PATIENCE  # a bound for a program that hangs, not a measurement


def test_the_agent_greets(tmp_path: Path) -> None:
    [program] = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.M | re.S)
    path = tmp_path / "program.py"
    path.write_text(program)
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, str(path)], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert "Hello, I am Lumi" in done.stdout, done.stderr
