"""The SDK's way: one room, an `rtc.AudioStream` for each listener."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from livekit import rtc

from ...harness import RoomRef, running
from ...signals.beeps import OnSamples
from .._sdk import read_audio, subscribed

NAME = "n AudioStreams"


@asynccontextmanager
async def readers(
    room_ref: RoomRef, count: int, on_samples: OnSamples
) -> AsyncGenerator[Callable[[], int]]:
    async with (
        subscribed(room_ref, rtc.TrackKind.KIND_AUDIO) as track,
        running(*(read_audio(number, track, on_samples) for number in range(count))),
    ):
        yield lambda: 0  # its queue has no bound, so it drops nothing
