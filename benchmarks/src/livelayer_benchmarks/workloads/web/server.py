"""The server of one case in a process of its own: it paints, and answers the pages' offers.

It paints until it is asked to end: pages start measuring when the last of them has a frame, so they
end after the server.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable
from importlib import import_module
from typing import Any, Protocol

import msgspec
import numpy as np

from ...harness import Send, cpu_seconds, resident_mb
from ...signals.stamped_video import Painter

WIDTH, HEIGHT, FPS = 1280, 720, 30
RATE = 48_000  # samples a second
AUDIO_SECONDS = 0.02  # a frame of audio
TONE = 400  # Hz: whole periods fit a frame
OFFER_LIMIT = 1 << 18  # bytes of a line


class Job(msgspec.Struct, frozen=True):
    """What a server measures, and its pages."""

    rival: str
    readers: int
    warm_up: float
    seconds: float
    port: int = 0
    """Of the server, for the pages."""


class Listening(msgspec.Struct, frozen=True, tag="listening"):
    """Offers are answered at this port of the loopback."""

    port: int


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What the process measured."""

    cpu: float
    """Milliseconds of the whole process for each frame of video."""
    rss: float


class MediaServer(Protocol):
    """See `livelayer_benchmarks.rivals.web`."""

    def push_video(self, frame: bytearray, /) -> None: ...

    def push_audio(self, samples: bytes, /) -> None: ...

    async def answer(self, offer: str, /) -> str: ...


async def ticks(interval: float) -> AsyncGenerator[None]:
    """Every `interval` seconds, on average."""
    due = time.monotonic()
    while True:
        yield
        due = max(due + interval, time.monotonic() - interval)
        await asyncio.sleep(due - time.monotonic())


async def push(
    media: MediaServer, on_frame: Callable[[], None], width: int = WIDTH, height: int = HEIGHT
) -> None:
    """Push stamped frames and a tone until cancelled."""
    painter = Painter(width, height)
    phases = np.arange(round(RATE * AUDIO_SECONDS)) * (2 * math.pi * TONE / RATE)
    samples = (np.sin(phases) * 8000).astype(np.int16).tobytes()

    async def push_audio() -> None:
        async for _ in ticks(AUDIO_SECONDS):
            media.push_audio(samples)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(push_audio())
        async for _ in ticks(1 / FPS):
            media.push_video(painter.paint())
            on_frame()


async def measure(job: Job, media: MediaServer, send: Send, ended: asyncio.Event) -> None:
    """Serve as many pages as the job says, measure once all are there, and go on until the end."""
    frames, pages = 0, 0
    complete = asyncio.Event()

    def on_frame() -> None:
        nonlocal frames
        frames += 1

    async def on_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal pages
        offer = msgspec.json.decode(await reader.readline(), type=str)
        writer.write(msgspec.json.encode(await media.answer(offer)) + b"\n")
        await writer.drain()
        writer.close()
        pages += 1
        if pages == job.readers:
            complete.set()

    async with asyncio.TaskGroup() as tasks:
        pushing = tasks.create_task(push(media, on_frame))
        server = await asyncio.start_server(on_page, "127.0.0.1", 0, limit=OFFER_LIMIT)
        send(Listening(server.sockets[0].getsockname()[1]))
        await complete.wait()
        await asyncio.sleep(job.warm_up)
        used, before = cpu_seconds(), frames
        await asyncio.sleep(job.seconds)
        used, pushed = cpu_seconds() - used, frames - before
        send(Answer(round(1000 * used / pushed, 3), round(resident_mb(), 1)))
        await ended.wait()
        server.close()
        pushing.cancel()


async def serve(job: Job, send: Send, ended: asyncio.Event) -> None:
    """Measure, and go on until the pages were asked what they got."""
    rival: Any = import_module(job.rival)
    async with rival.media_server() as media:
        await measure(job, media, send, ended)
