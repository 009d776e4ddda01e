"""What the rivals of the bare SDK have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
from livekit import rtc

from ..harness import RoomRef, running
from ..signals.beeps import OnSamples
from ..signals.frame_recorder import Attach, OnFrame


@asynccontextmanager
async def subscribed(room_ref: RoomRef, kind: rtc.TrackKind.ValueType) -> AsyncGenerator[rtc.Track]:
    """The agent's track of that kind, in a room that is joined for the length of the block."""
    room = rtc.Room()
    tracks: asyncio.Queue[rtc.Track] = asyncio.Queue(1)

    def on_track(track: rtc.Track, *_: object) -> None:
        if track.kind == kind:
            tracks.put_nowait(track)

    room.on("track_subscribed", on_track)
    await room_ref.connect(room, "viewer")
    try:
        yield await tracks.get()
    finally:
        await room.disconnect()


async def read_video(number: int, track: rtc.Track, on_frame: OnFrame) -> None:
    """Read every frame of a stream of its own."""
    stream = rtc.VideoStream(track)
    try:
        async for event in stream:
            frame = event.frame
            on_frame(number, frame, frame.data, frame.width, frame.height, 0, 0)
    finally:
        await stream.aclose()


async def read_audio(number: int, track: rtc.Track, on_samples: OnSamples) -> None:
    """Read every frame of a stream of its own."""
    stream = rtc.AudioStream(track)
    try:
        async for event in stream:
            on_samples(number, event.frame.data)
    finally:
        await stream.aclose()


def streams_of(track: rtc.Track) -> Attach:
    """A stream of its own for each reader of that track."""
    return lambda count, on_frame: running(*(read_video(n, track, on_frame) for n in range(count)))


@asynccontextmanager
async def rooms(
    room_ref: RoomRef, count: int, on_frame: OnFrame, *, audio: bool
) -> AsyncGenerator[None]:
    """A room of its own for each reader, with its own streams and decoders."""
    async with AsyncExitStack() as stack:
        for number in range(count):
            await stack.enter_async_context(_room(room_ref, number, on_frame, audio))
        yield


@asynccontextmanager
async def _room(
    room_ref: RoomRef, number: int, on_frame: OnFrame, audio: bool
) -> AsyncGenerator[None]:
    room = rtc.Room()

    def on_track(track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_VIDEO:
            tasks.start_soon(read_video, number, track, on_frame)
        elif audio:
            tasks.start_soon(read_audio, number, track, _ignore)

    room.on("track_subscribed", on_track)
    try:
        async with anyio.create_task_group() as tasks:
            await room_ref.connect(room, f"widget-{number}")
            yield
            tasks.cancel_scope.cancel()
    finally:
        await room.disconnect()


def _ignore(number: int, samples: memoryview) -> None:
    """What a widget in these measurements does with audio."""
