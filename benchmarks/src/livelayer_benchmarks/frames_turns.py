"""Few surfaces and many in turns over one connection, in a process of its own.

Two connections are never equally late: a jitter buffer settles a few milliseconds apart. So what
further surfaces cost is told from the turns of one. Started by the harness as
`python -m livelayer_benchmarks.frames_turns`.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Protocol, cast

import msgspec

from .child import Missing, Say, load_rival, serve
from .frames_recorder import Recorder, Show
from .frames_worker import Answer, Job, watched


class TurnsJob(msgspec.Struct, frozen=True):
    """What one process measures."""

    job: Job
    """Of each turn; its `readers` are overruled."""
    readers: tuple[int, ...]
    """Of one turn after the other."""


class Turns(msgspec.Struct, frozen=True, tag="turns"):
    """The turns' answers, in their order."""

    answers: list[Answer]


Outcome = Turns | Missing


class Rival(Protocol):
    """The names of a rival's module; see `frames_rivals`."""

    def sharing(self, job: Job, /) -> AbstractAsyncContextManager[Show]: ...


async def measure(job: TurnsJob, rival: Rival) -> Turns:
    """Take the turns."""
    answers: list[Answer] = []
    async with rival.sharing(job.job) as show:
        for count in job.readers:
            recorder = Recorder(count)
            async with show(count, recorder.see):
                answers.append(await watched(job.job, recorder))
    return Turns(answers)


async def work(job: TurnsJob, say: Say, ended: asyncio.Event) -> None:
    """Measure and answer."""
    del ended  # the parent closes the pipe after the answer
    rival = load_rival(job.job.rival, say)
    if rival is not None:
        say(await measure(job, cast(Rival, rival)))


if __name__ == "__main__":
    serve(TurnsJob, work)
