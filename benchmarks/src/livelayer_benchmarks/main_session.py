"""Shared and many sessions: `python -m benchmarks.session [--quick] [--url URL]`."""

from __future__ import annotations

import sys

from .areas import main
from .session import Plan, SessionBenchmark, run_session_benchmark

QUICK = Plan(sessions=10, seconds=2.0, warm_up=1.0, repetitions=1)


def run(quick: bool, url: str | None) -> SessionBenchmark:
    """Measure everything that is installed."""
    return run_session_benchmark(QUICK if quick else None, url=url)


if __name__ == "__main__":
    sys.exit(main("session", run))
