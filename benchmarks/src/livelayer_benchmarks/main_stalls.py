"""Sleeping surfaces and a blocked loop: `python -m benchmarks.stalls [--quick] [--url URL]`."""

from __future__ import annotations

import sys

from .areas import main
from .stalls import Plan, StallsBenchmark, run_stalls_benchmark

QUICK = Plan(awake=0.7, asleep=5.0, before=0.6, blocked=0.8, after=1.0, warm_up=0.3)


def run(quick: bool, url: str | None) -> StallsBenchmark:
    """Measure both cases."""
    return run_stalls_benchmark(QUICK if quick else None, url)


if __name__ == "__main__":
    sys.exit(main("stalls", run))
