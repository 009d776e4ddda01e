"""What the frames, audio, data, session and stalls benchmarks have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from livelayer_bus.errors import LivelayerError

from .charts import save_charts
from .report import show

RESULTS = Path(__file__).parents[2] / "results"


def main(area: str, run: Callable[[bool, str | None], msgspec.Struct]) -> int:
    """Measure, show, write the result and its chart; the exit code is 1 if a goal was missed.

    Args:
        area: the benchmark's name.
        run: measures; gets whether to be quick, and a real server's address.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{area}")
    parser.add_argument("--json", type=Path, default=RESULTS / f"{area}.json", metavar="FILE")
    parser.add_argument("--plot", type=Path, default=RESULTS / f"{area}.svg", metavar="FILE")
    parser.add_argument("--url", help="a real server; needs LIVEKIT_API_KEY, LIVEKIT_API_SECRET")
    parser.add_argument("--quick", action="store_true", help="one short repetition")
    options = parser.parse_args()
    try:
        result = run(options.quick, options.url)
        builtins: dict[str, Any] = msgspec.to_builtins(result)
        show(area, builtins)
        formatted = msgspec.json.format(msgspec.json.encode(result), indent=2)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_bytes(formatted + b"\n")
        save_charts(options.plot, {area: builtins})
    except LivelayerError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(goal["met"] for goal in builtins["goals"]) else 1
