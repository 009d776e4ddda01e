"""The bare SDK's way: a room of its own for each widget, with its own streams and decoders."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

from ...signals.frame_recorder import Attach
from ...workloads.frames import Job
from .._sdk import rooms

NAME = "n rooms"
PART = "widgets"


def connected(job: Job) -> nullcontext[Attach]:
    return nullcontext(partial(rooms, job.remote(), audio=True))
