"""The audio path against the SDK's: `python -m benchmarks.audio [--quick] [--url URL]`."""

from __future__ import annotations

import sys

from .areas import main
from .audio import AudioBenchmark, Plan, run_audio_benchmark

QUICK = Plan(seconds=2.0, warm_up=1.0, repetitions=1)


def run(quick: bool, url: str | None) -> AudioBenchmark:
    """Measure everything that is installed."""
    return run_audio_benchmark(QUICK if quick else None, url=url)


if __name__ == "__main__":
    sys.exit(main("audio", run))
