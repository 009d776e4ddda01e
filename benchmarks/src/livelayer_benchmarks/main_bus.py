"""The bus against its peers: `python -m benchmarks.bus [--json FILE] [--quick]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .bus import INSTALLED_RIVALS, BusBenchmark, Plan, run_bus_benchmark
from .bus_report import show

PEERS = tuple(
    f"livelayer_benchmarks.rivals.bus.{name}"
    for name in (
        "pyee_emitter",
        "blinker_signal",
        "aiopubsub_callbacks",
        "aiopubsub_tasks",
        "bubus_bus",
    )
)
QUICK = Plan(readers=(16,), deliveries=40_000, wake_turns=500, repetitions=3)
RESULTS = Path(__file__).parents[2] / "results" / "bus.json"


def run(plan: Plan | None = None) -> BusBenchmark:
    """Measure everything that is installed."""
    return run_bus_benchmark(plan, (*INSTALLED_RIVALS, *PEERS))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write the result; the exit code is 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bus", description=__doc__)
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the result goes")
    parser.add_argument("--quick", action="store_true", help="16 readers only, few repetitions")
    options = parser.parse_args(arguments)
    result = run(QUICK if options.quick else None)
    show(result)
    path: Path = options.json
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    return 0 if all(goal.met for goal in result.goals) else 1


if __name__ == "__main__":
    sys.exit(main())
