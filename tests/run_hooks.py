"""A run of the tests as a whole: which process runs what, and one line for what was skipped.

Loaded by `addopts` in pyproject.toml.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from hypothesis import HealthCheck, settings

try:
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]
except ImportError:  # a run in one process needs no xdist
    LoadFileScheduling = object

MARK: Final = "realtime"


# A slow example is not a fault, and every run has the same examples;
# `--hypothesis-profile explore` looks for others.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("tests", settings.get_profile("explore"), derandomize=True)
settings.load_profile("tests")


class Reported(Protocol):
    """A report of a skipped test."""

    longrepr: Any


@cache
def _is_realtime(path: Path) -> bool:
    # By its text, since the process that distributes the tests collects none.
    return path.is_file() and re.search(rf"\bmark\.{MARK}\b", path.read_text()) is not None


class RealtimeFirst(LoadFileScheduling):  # type: ignore[misc]  # object where xdist is missing
    """Gives each process whole files, those with real-time media first.

    As long as there are others, one process at a time has such a file: they mostly wait, and the
    others fill the time.
    """

    def _assign_work_unit(self, node: Any) -> None:
        others = [work for other, work in self.assigned_work.items() if other is not node]
        taken = any(
            _is_realtime(self.config.rootpath / scope) and not all(unit.values())
            for work in others
            for scope, unit in work.items()
        )
        for scope in self.workqueue:
            if _is_realtime(self.config.rootpath / scope) is not taken:
                self.workqueue.move_to_end(scope, last=False)
                break
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Take the place of `--dist loadfile`."""
    return RealtimeFirst(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Name, as the last line of all, what was skipped and why."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    reasons = Counter(_reason(report) for report in reporter.stats.get("skipped", []))
    if reasons:
        counted = "; ".join(f"{number} {reason}" for reason, number in reasons.most_common())
        reporter.write_line(f"skipped: {counted}")


def _reason(report: Reported) -> str:
    *_, reason = report.longrepr
    return str(reason).removeprefix("Skipped: ").removeprefix("could not import ")
