"""One case of the audio path in a process of its own: N listeners to one voice that beeps.

Started by the harness as `python -m livelayer_benchmarks.audio_worker`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias, cast

import msgspec

from .beeps import Listener
from .child import Missing, Say, load_rival, serve
from .places import Place
from .usage import cpu_seconds, resident_mb

BEGIN_SECONDS = 20.0  # for every listener to have its first frame

Hear: TypeAlias = Callable[[int, memoryview], None]
"""A reader, by its number, has a stretch of sound: int16 samples, mono."""


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    rival: str
    """Module with the names that `audio_rivals` describes."""
    readers: int
    place: Place
    warm_up: float
    seconds: float


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What came of it."""

    cpu: float
    """Milliseconds of the whole process for each second of sound."""
    frames: float
    """Frames each second that the worst-off listener got."""
    dropped: int
    heard_ns: list[list[int]]
    """When each listener heard the beeps begin."""
    rss: float


Outcome = Answer | Missing


class Rival(Protocol):
    """The names of a rival's module; see `audio_rivals`."""

    NAME: str
    REQUIRES: tuple[str, ...]

    def readers(
        self, place: Place, count: int, hear: Hear, /
    ) -> AbstractAsyncContextManager[Callable[[], int]]: ...


async def measure(job: Job, rival: Rival) -> Answer:
    """Have the rival's listeners listen; measure after the warm-up."""
    listeners = [Listener() for _ in range(job.readers)]

    def hear(number: int, samples: memoryview) -> None:
        listeners[number].hear(samples)

    async with rival.readers(job.place, job.readers, hear) as dropped:
        async with asyncio.timeout(BEGIN_SECONDS):
            while not all(one.frames for one in listeners):  # noqa: ASYNC110 - a hook would cost
                await asyncio.sleep(0.05)
        await asyncio.sleep(job.warm_up)
        for one in listeners:
            one.frames = 0
            one.heard_ns.clear()
        lost, used, began = dropped(), cpu_seconds(), time.monotonic()
        await asyncio.sleep(job.seconds)
        used, took = cpu_seconds() - used, time.monotonic() - began
        frames = min(one.frames for one in listeners) / took
        heard = [list(one.heard_ns) for one in listeners]
        return Answer(
            cpu=round(1000 * used / took, 3),
            frames=round(frames, 2),
            dropped=dropped() - lost,
            heard_ns=heard,
            rss=round(resident_mb(), 1),
        )


async def work(job: Job, say: Say, ended: asyncio.Event) -> None:
    """Measure and answer."""
    del ended  # the parent closes the pipe after the answer
    rival = load_rival(job.rival, say)
    if rival is not None:
        say(await measure(job, cast(Rival, rival)))


if __name__ == "__main__":
    serve(Job, work)
