"""The frame path against its peers: `python -m benchmarks.frames [--quick] [--url URL]`."""

from __future__ import annotations

import sys

import msgspec

from .areas import main
from .frames import INSTALLED_RIVALS, FramesBenchmark, Plan, run_frames_benchmark

PEERS = tuple(
    f"livelayer_benchmarks.rivals.frames.{name}"
    for name in ("aiortc_relay", "aiortc_relay_newest", "room_each")
)
NOT_MEASURED = {
    "fastrtc 0.0.34": "installing it replaces this environment's pillow, pydantic and starlette",
    "pipecat-ai 1.14": "installing it replaces this environment's protobuf, which the SDK uses",
}
QUICK = Plan(readers=(1, 16), seconds=2.0, warm_up=1.0, repetitions=1, turns=2)


def run(quick: bool, url: str | None) -> FramesBenchmark:
    """Measure everything that is installed."""
    result = run_frames_benchmark(QUICK if quick else None, (*INSTALLED_RIVALS, *PEERS), url)
    return msgspec.structs.replace(result, skipped=result.skipped | NOT_MEASURED)


if __name__ == "__main__":
    sys.exit(main("frames", run))
