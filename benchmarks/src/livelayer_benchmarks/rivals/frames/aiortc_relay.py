"""aiortc's `MediaRelay`, buffered as by default: a queue without a bound for each reader."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from ...signals.frame_recorder import OnFrame
from ...workloads.frames import Job
from ._relay import relayed

NAME = "aiortc MediaRelay"
PART = "local"
REQUIRES = ("aiortc", "av")


def readers(job: Job, on_frame: OnFrame) -> AbstractAsyncContextManager[None]:
    return relayed(job, on_frame, buffered=True)
