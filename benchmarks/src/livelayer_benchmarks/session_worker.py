"""Many sessions in one process, with data only: what each costs, and how long joining takes.

Started by the harness as `python -m livelayer_benchmarks.session_worker`.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Protocol, cast

import msgspec

from .child import Missing, Say, load_rival, serve
from .places import Place
from .usage import cpu_seconds, resident_mb

JOIN_SECONDS = 20.0  # for one room
SETTLE_SECONDS = 1.0  # from the last join until counting begins


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    rival: str
    """Module with the names that `session_rivals` describes."""
    places: list[Place]
    """A room for each session; the first one pays for what a process has once."""
    seconds: float


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What came of it."""

    joins: list[float]
    """Milliseconds of each join but the first."""
    cpu: float
    """Milliseconds for each second and session."""
    memory: float
    """Megabytes that each session but the first added."""
    heard: float
    """Data messages for each second and session."""


Outcome = Answer | Missing


class Rival(Protocol):
    """The names of a rival's module; see `session_rivals`."""

    NAME: str
    REQUIRES: tuple[str, ...]

    def joined(
        self, place: Place, heard: Callable[[], None], /
    ) -> AbstractAsyncContextManager[None]: ...


async def measure(job: Job, rival: Rival) -> Answer:
    """Join every room, one after the other; then watch for a while."""
    count = 0

    def heard() -> None:
        nonlocal count
        count += 1

    joins: list[float] = []
    memory = 0.0
    async with AsyncExitStack() as stack:
        for place in job.places:
            began = time.perf_counter_ns()
            async with asyncio.timeout(JOIN_SECONDS):
                await stack.enter_async_context(rival.joined(place, heard))
            joins.append((time.perf_counter_ns() - began) / 1e6)
            if len(joins) == 1:
                await asyncio.sleep(SETTLE_SECONDS)
                gc.collect()
                memory = resident_mb()
        await asyncio.sleep(SETTLE_SECONDS)
        gc.collect()
        further = max(1, len(joins) - 1)
        memory = (resident_mb() - memory) / further
        count, used, began_at = 0, cpu_seconds(), time.monotonic()
        await asyncio.sleep(job.seconds)
        took = time.monotonic() - began_at
        used, came = cpu_seconds() - used, count
    return Answer(
        joins=[round(one, 2) for one in joins[1:]],
        cpu=round(1000 * used / took / len(joins), 3),
        memory=round(memory, 3),
        heard=round(came / took / len(joins), 2),
    )


async def work(job: Job, say: Say, ended: asyncio.Event) -> None:
    """Measure and answer."""
    del ended  # the parent closes the pipe after the answer
    rival = load_rival(job.rival, say)
    if rival is not None:
        say(await measure(job, cast(Rival, rival)))


if __name__ == "__main__":
    serve(Job, work)
