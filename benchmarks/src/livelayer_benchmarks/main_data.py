"""Data messages against the bare SDK's: `python -m benchmarks.data [--quick] [--url URL]`."""

from __future__ import annotations

import sys

from .areas import main
from .data import DataBenchmark, Plan, run_data_benchmark

QUICK = Plan(round_trips=100, burst=300, repetitions=1)


def run(quick: bool, url: str | None) -> DataBenchmark:
    """Measure everything that is installed."""
    return run_data_benchmark(QUICK if quick else None, url=url)


if __name__ == "__main__":
    sys.exit(main("data", run))
