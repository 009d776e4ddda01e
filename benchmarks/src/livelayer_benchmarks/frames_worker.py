"""One case of the frame path in a process of its own: N readers of one stamped picture.

Started by the harness as `python -m livelayer_benchmarks.frames_worker`.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, cast

import msgspec

from .child import Missing, Say, load_rival, serve
from .frames_recorder import Recorder, See, Seen
from .places import Place
from .usage import cpu_seconds, resident_mb

BEGIN_SECONDS = 20.0  # for every reader to have its first picture
GRACE_SECONDS = 0.5  # for what was sent in the measured time to arrive


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    rival: str
    """Module with the names that `frames_rivals` describes."""
    readers: int
    width: int
    height: int
    fps: int
    warm_up: float
    seconds: float
    place: Place | None = None
    """Where a publisher sends; None for rivals that paint by themselves."""


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What came of it."""

    seen: Seen
    cpu: float
    """Milliseconds of the whole process for each picture a surface got, on average.

    Not for each one sent: then dropping pictures would look like working cheaply.
    """
    rss: float
    """Megabytes at the end of the measured time."""


Outcome = Answer | Missing


class Rival(Protocol):
    """The names of a rival's module; see `frames_rivals`."""

    NAME: str
    PATH: Literal["server", "local"]
    REQUIRES: tuple[str, ...]

    def readers(self, job: Job, see: See, /) -> AbstractAsyncContextManager[None]: ...


async def watched(job: Job, recorder: Recorder) -> Answer:
    """Measure after the warm-up, while the readers read."""
    async with asyncio.timeout(BEGIN_SECONDS):
        while not recorder.begun:  # noqa: ASYNC110 - readers stay without a hook
            await asyncio.sleep(0.05)
    await asyncio.sleep(job.warm_up)
    first, used = recorder.start(), cpu_seconds()
    await asyncio.sleep(job.seconds)
    used, last, shown = cpu_seconds() - used, recorder.newest(), recorder.shown
    rss = resident_mb()
    await asyncio.sleep(GRACE_SECONDS)
    cpu = 1000 * used / max(1.0, shown)
    return Answer(recorder.result(first, last), round(cpu, 3), round(rss, 1))


async def measure(job: Job, rival: Rival) -> Answer:
    """Have the rival's readers read."""
    recorder = Recorder(job.readers)
    async with rival.readers(job, recorder.see):
        return await watched(job, recorder)


async def work(job: Job, say: Say, ended: asyncio.Event) -> None:
    """Measure and answer."""
    del ended  # the parent closes the pipe after the answer
    rival = load_rival(job.rival, say)
    if rival is not None:
        say(await measure(job, cast(Rival, rival)))


if __name__ == "__main__":
    serve(Job, work)
