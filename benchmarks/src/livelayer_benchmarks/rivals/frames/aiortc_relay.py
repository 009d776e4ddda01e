"""aiortc's `MediaRelay`, buffered as by default: a queue without a bound for each reader."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from ...frames_recorder import See
from ...frames_worker import Job
from ._relay import relayed

NAME = "aiortc MediaRelay"
PATH = "local"
REQUIRES = ("aiortc", "av")


def readers(job: Job, see: See) -> AbstractAsyncContextManager[None]:
    return relayed(job, see, buffered=True)
