"""A room of its own for each surface: what N copies of a single-surface client do."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

from ...signals.frame_recorder import Attach
from ...workloads.frames import Job
from .._sdk import rooms

NAME = "n rooms"
PART = "server"


def connected(job: Job) -> nullcontext[Attach]:
    return nullcontext(partial(rooms, job.remote(), audio=False))
