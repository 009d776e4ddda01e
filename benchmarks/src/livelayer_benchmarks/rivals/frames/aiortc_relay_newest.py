"""aiortc's `MediaRelay`, unbuffered: a reader gets the newest picture and misses the others."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from ...frames_recorder import See
from ...frames_worker import Job
from ._relay import relayed

NAME = "aiortc MediaRelay, unbuffered"
PATH = "local"
REQUIRES = ("aiortc", "av")


def readers(job: Job, see: See) -> AbstractAsyncContextManager[None]:
    return relayed(job, see, buffered=False)
