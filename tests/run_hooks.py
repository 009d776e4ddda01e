"""A run of the tests as a whole: real-time media last and alone, one line for what was skipped.

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
REALTIME: Final = "the tests of real-time media"  # one scope of the scheduler


# A slow example is not a fault, and every run has the same examples;
# `--hypothesis-profile explore` looks for others.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("tests", settings.get_profile("explore"), derandomize=True)
settings.load_profile("tests")


class Reported(Protocol):
    """A report of a skipped test."""

    longrepr: Any


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files with tests of real-time media after all others."""
    items.sort(key=lambda item: _is_realtime(item.path))


@cache
def _is_realtime(path: Path) -> bool:
    # By its text, since the process that distributes the tests collects none.
    return path.is_file() and re.search(rf"\bmark\.{MARK}\b", path.read_text()) is not None


class RealtimeLast(LoadFileScheduling):  # type: ignore[misc]  # object where xdist is missing
    """Gives each process whole files; those with real-time media come last, in one process."""

    def _split_scope(self, nodeid: str) -> str:
        scope: str = super()._split_scope(nodeid)
        return REALTIME if _is_realtime(self.config.rootpath / scope) else scope

    def _assign_work_unit(self, node: Any) -> None:
        if REALTIME in self.workqueue:
            self.workqueue.move_to_end(REALTIME)
        if list(self.workqueue) == [REALTIME]:
            others = [other for other in self.nodes if other is not node]
            if any(not other.shutting_down for other in others):
                node.shutdown()  # runs what it has; another process takes these
                return
            if any(self._pending_of(self.assigned_work[other]) for other in others):
                return  # asked again when they are done
        super()._assign_work_unit(node)

    def mark_test_complete(self, node: Any, *given: Any, **named: Any) -> None:
        super().mark_test_complete(node, *given, **named)
        if node.shutting_down and self.workqueue:
            for other in self.nodes:
                self._reschedule(other)

    def remove_node(self, node: Any) -> str | None:
        crashed: str | None = super().remove_node(node)
        for other in self.nodes:
            self._reschedule(other)
        return crashed


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Take the place of `--dist loadfile`."""
    return RealtimeLast(config, log) if config.getoption("dist") == "loadfile" else None


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
