"""Several processes: whole files, slow ones first, real-time media last and in two of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from livelayer_bus.testing import PATIENCE

ROOT = Path(__file__).parent.parent
FILE = """
import os, pathlib, pytest
pytestmark = [{mark}]

@pytest.mark.parametrize("number", range({tests}))
def test_it(number):
    with pathlib.Path("ran.txt").open("a") as ran:
        ran.write(f"{{os.environ['PYTEST_XDIST_WORKER']}} {name}\\n")
"""
MARKS = {"realtime": "pytest.mark.realtime", "slow": "pytest.mark.slow", "plain": ""}

PLUGINS = ("-p", "xdist", "-p", "tests.run_hooks")
PROCESSES = ("--numprocesses", "3", "--dist", "loadfile")


def test_files_come_in_their_order_and_real_time_media_in_few_processes(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  realtime\n  slow\n")
    tests = {f"{kind}{more}": 3 + more for kind in MARKS for more in range(4)}
    for name, number in tests.items():
        text = FILE.format(mark=MARKS[name[:-1]], tests=number, name=name)
        (tmp_path / f"test_{name}.py").write_text(text)

    ended = subprocess.run(  # noqa: S603 - no input
        [sys.executable, "-m", "pytest", *PLUGINS, *PROCESSES],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
    )

    assert f"{sum(tests.values())} passed" in ended.stdout, ended.stdout + ended.stderr
    lines = [line.split() for line in (tmp_path / "ran.txt").read_text().splitlines()]
    workers = {name: {worker for worker, of in lines if of == name} for name in tests}
    assert all(len(of) == 1 for of in workers.values())  # its fixtures are for a whole file
    assert len(set.union(*(of for name, of in workers.items() if "realtime" in name))) <= 2
    for each in set.union(*workers.values()):
        files = list(dict.fromkeys(name for worker, name in lines if worker == each))
        assert files == sorted(files, key=turn)


def turn(name: str) -> tuple[int, int]:
    """When a file comes: by its kind, and those with many tests first."""
    return ["slow", "plain", "realtime"].index(name[:-1]), -int(name[-1])
