"""Pages of one session and an encode for each: `python -m livelayer_benchmarks.web [--quick]`."""

from __future__ import annotations

import sys

from ..areas import main
from .harness import Plan, WebBenchmark, run_web_benchmark

QUICK = Plan(seconds=2.0, warm_up=1.0, repetitions=1)


def run(quick: bool, url: str | None) -> WebBenchmark:
    """Measure everything that is installed; no LiveKit server takes part."""
    del url
    return run_web_benchmark(QUICK if quick else None)


if __name__ == "__main__":
    sys.exit(main("web", run))
