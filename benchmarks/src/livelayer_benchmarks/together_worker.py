"""One surface that looks and listens, in a process of its own: how far apart the two arrive.

Started by the harness as `python -m livelayer_benchmarks.together_worker`.
"""

from __future__ import annotations

import asyncio

import anyio
import msgspec

from livelayer_bus.session import Session
from livelayer_bus.surfaces import SurfaceSession

from .beeps import Listener
from .child import Say, serve
from .frames_recorder import Recorder
from .places import Place
from .rivals.frames.shared_session import watcher

BEGIN_SECONDS = 20.0  # for the first picture and the first sound


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    place: Place
    warm_up: float
    seconds: float


class Answer(msgspec.Struct, frozen=True):
    """What came of it."""

    picture: float
    """Milliseconds from a picture handed to the sender's SDK to its delivery, median."""
    heard_ns: list[int]
    """When beeps began to be heard, on `time.monotonic_ns`."""


async def measure(job: Job) -> Answer:
    """Look and listen with one surface; measure after the warm-up."""
    recorder, listener = Recorder(1), Listener()

    async def surface(session: SurfaceSession) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(watcher(0, recorder.see), session)
            with session.audio.subscribe() as sound:
                async for frame in sound:
                    listener.hear(frame.data)

    async with Session("bench", tokens=job.place.tokens()) as session:
        session.mount(surface, key="surface", on_fault="raise")
        await session.connect()
        async with asyncio.timeout(BEGIN_SECONDS):
            while not (recorder.begun and listener.frames):  # noqa: ASYNC110 - a hook would cost
                await asyncio.sleep(0.05)
        await asyncio.sleep(job.warm_up)
        first = recorder.start()
        listener.heard_ns.clear()
        await asyncio.sleep(job.seconds)
        return Answer(recorder.result(first, recorder.newest()).p50, list(listener.heard_ns))


async def work(job: Job, say: Say, ended: asyncio.Event) -> None:
    """Measure and answer."""
    del ended  # the parent closes the pipe after the answer
    say(await measure(job))


if __name__ == "__main__":
    serve(Job, work)
