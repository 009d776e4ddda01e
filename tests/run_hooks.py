"""A run of the tests as a whole: what comes last, and one line for what was skipped.

Loaded by `addopts` in pyproject.toml.
"""

from __future__ import annotations

import re
import signal
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from hypothesis import HealthCheck, settings

from tests.support import EXAMPLES

try:
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]
except ImportError:  # a run in one process needs no xdist
    LoadFileScheduling = object

REALTIME_PROCESSES: Final = 2  # at once with files of real-time media

# A slow example is not a fault, and every run has the same examples;
# `--hypothesis-profile explore` looks for others.
settings.register_profile(
    "explore",
    max_examples=100 * EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("tests", settings.get_profile("explore"), derandomize=True)
settings.load_profile("tests")


class Reported(Protocol):
    """A report of a skipped test."""

    longrepr: Any


def pytest_configure() -> None:
    """Let programs that tests start take Ctrl-C, which a run in the background ignores."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the files with slow tests first, and those with tests of real-time media last.

    Several processes take those with many tests before those with few, so that they end together.
    """
    several = hasattr(config, "workerinput")
    tests = Counter(item.path for item in items) if several else Counter()

    def turn(item: pytest.Item) -> tuple[bool, bool, int]:
        return _is_realtime(item.path), not _marks(item.path, "slow"), -tests[item.path]

    items.sort(key=turn)


@cache
def _marks(path: Path, mark: str) -> bool:
    # By its text, since the process that distributes the tests collects none.
    return path.is_file() and re.search(rf"\bmark\.{mark}\b", path.read_text()) is not None


def _is_realtime(path: Path) -> bool:
    return _marks(path, "realtime")


class RealtimeLast(LoadFileScheduling):  # type: ignore[misc]  # object where xdist is missing
    """Gives each process whole files, in their order; the last ones, with real-time media, to few.

    A process that is not one of those few ends when nothing else is left.
    """

    def _assign_work_unit(self, node: Any) -> None:
        file = next(iter(self.workqueue))
        if _is_realtime(self.config.rootpath / file):
            running = [one for one in self.nodes if not one.shutting_down]
            if len(running) > REALTIME_PROCESSES:
                node.shutdown()  # runs what it has
                return
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Take the place of `--dist loadfile`, which by itself takes files with many tests first."""
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return RealtimeLast(config, log)


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
