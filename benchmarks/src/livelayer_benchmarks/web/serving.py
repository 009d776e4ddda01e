"""The server of one case in a process of its own: it paints, and answers the pages' offers.

Started by the harness as `python -m livelayer_benchmarks.web.serving`.
It paints until it is asked to end: pages start measuring when the last of
them has a picture, so they end after the server.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, cast

import msgspec
import numpy as np

from ..child import Missing, Say, load_rival, serve
from ..picture import Painter
from ..usage import cpu_seconds, resident_mb

WIDTH, HEIGHT, FPS = 1280, 720, 30
RATE = 48_000  # samples a second
SOUND_SECONDS = 0.02  # a stretch
TONE = 400  # Hz; a stretch is whole periods
OFFER_LIMIT = 1 << 18  # bytes of a line


class Job(msgspec.Struct, frozen=True):
    """What one process measures."""

    rival: str
    readers: int
    warm_up: float
    seconds: float


class Listening(msgspec.Struct, frozen=True, tag="listening"):
    """Offers are answered at this port of the loopback."""

    port: int


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What came of it."""

    cpu: float
    """Milliseconds of the whole process for each picture."""
    rss: float


Outcome = Listening | Answer | Missing


class Studio(Protocol):
    """See `livelayer_benchmarks.rivals.web`."""

    def show(self, picture: bytearray, /) -> None: ...

    def say(self, samples: bytes, /) -> None: ...

    async def answer(self, offer: str, /) -> str: ...


class Rival(Protocol):
    """The names of a rival's module."""

    NAME: str
    REQUIRES: tuple[str, ...]

    def serving(self) -> AbstractAsyncContextManager[Studio]: ...


async def beats(interval: float) -> AsyncGenerator[None]:
    """Every `interval` seconds, on average."""
    due = time.monotonic()
    while True:
        yield
        due = max(due + interval, time.monotonic() - interval)
        await asyncio.sleep(due - time.monotonic())


async def perform(studio: Studio, shown: Callable[[], None]) -> None:
    """Show pictures and say a tone until cancelled."""
    painter = Painter(WIDTH, HEIGHT)
    turns = np.arange(round(RATE * SOUND_SECONDS)) * (2 * math.pi * TONE / RATE)
    samples = (np.sin(turns) * 8000).astype(np.int16).tobytes()

    async def speak() -> None:
        async for _ in beats(SOUND_SECONDS):
            studio.say(samples)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(speak())
        async for _ in beats(1 / FPS):
            studio.show(painter.paint())
            shown()


async def measure(job: Job, studio: Studio, say: Say, ended: asyncio.Event) -> None:
    """Serve as many pages as the job says, measure once all are there, and go on until the end."""
    pictures, pages = 0, 0
    complete = asyncio.Event()

    def shown() -> None:
        nonlocal pictures
        pictures += 1

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal pages
        offer = msgspec.json.decode(await reader.readline(), type=str)
        writer.write(msgspec.json.encode(await studio.answer(offer)) + b"\n")
        await writer.drain()
        writer.close()
        pages += 1
        if pages == job.readers:
            complete.set()

    async with asyncio.TaskGroup() as tasks:
        performing = tasks.create_task(perform(studio, shown))
        server = await asyncio.start_server(page, "127.0.0.1", 0, limit=OFFER_LIMIT)
        say(Listening(server.sockets[0].getsockname()[1]))
        await complete.wait()
        await asyncio.sleep(job.warm_up)
        used, before = cpu_seconds(), pictures
        await asyncio.sleep(job.seconds)
        used, shown_meanwhile = cpu_seconds() - used, pictures - before
        say(Answer(round(1000 * used / shown_meanwhile, 3), round(resident_mb(), 1)))
        await ended.wait()
        server.close()
        performing.cancel()


async def work(job: Job, say: Say, ended: asyncio.Event) -> None:
    """Measure and answer, and go on until the pages were asked what they saw."""
    module = load_rival(job.rival, say)
    if module is None:
        return
    rival = cast(Rival, module)
    async with rival.serving() as studio:
        await measure(job, studio, say, ended)


if __name__ == "__main__":
    serve(Job, work)
