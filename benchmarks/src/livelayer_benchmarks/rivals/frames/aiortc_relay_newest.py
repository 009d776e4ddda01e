"""aiortc's `MediaRelay`, unbuffered: a reader gets the newest frame and misses the others."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from ...signals.frame_recorder import OnFrame
from ...workloads.frames import Job
from ._relay import relayed

NAME = "aiortc MediaRelay, unbuffered"
PART = "local"
REQUIRES = ("aiortc", "av")


def readers(job: Job, on_frame: OnFrame) -> AbstractAsyncContextManager[None]:
    return relayed(job, on_frame, buffered=False)
