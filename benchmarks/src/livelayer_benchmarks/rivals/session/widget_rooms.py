"""The bare SDK's way: a room of its own for each widget, with its own streams and decoders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from livekit import rtc

from ...frames_recorder import See
from ...frames_worker import Job
from ...places import Place
from ..audio.sdk_streams import listen
from ..frames.sdk_streams import watch

NAME = "n rooms"
PATH = "server"
REQUIRES: tuple[str, ...] = ()


def ignore(number: int, samples: memoryview) -> None:
    """Hear a stretch of sound and do nothing about it."""


@asynccontextmanager
async def room_of_its_own(
    place: Place, number: int, see: See, *, audio: bool
) -> AsyncGenerator[None]:
    """One widget's room for the length of the block."""
    room = rtc.Room()
    tasks: list[asyncio.Task[None]] = []

    def subscribed(track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_VIDEO:
            tasks.append(asyncio.create_task(watch(number, track, see)))
        elif audio:
            tasks.append(asyncio.create_task(listen(number, track, ignore)))

    room.on("track_subscribed", subscribed)
    await place.join_with(room, f"widget-{number}")
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await room.disconnect()


@asynccontextmanager
async def readers(job: Job, see: See) -> AsyncGenerator[None]:
    if job.place is None:
        raise ValueError("rooms need a place")
    async with AsyncExitStack() as stack:
        for number in range(job.readers):
            own = room_of_its_own(job.place, number, see, audio=True)
            await stack.enter_async_context(own)
        yield
