"""The agent of the media benchmarks in a process of its own: stamped pictures, and beeps.

Started by the harness as `python -m livelayer_benchmarks.publisher`; it publishes until its pipe is
closed, then tells when each beep was sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import msgspec
from livekit import rtc

from .beeps import FRAME_MS, RATE, Beeper
from .child import Ready, Say, serve
from .picture import Painter
from .places import AGENT, Place

BITRATE: Final = 2_500_000  # bits a second, what 720p30 gets by default
KEPT_BEEPS: Final = 20_000


class Job(msgspec.Struct, frozen=True):
    """What to publish where."""

    place: Place
    width: int = 0
    """0 for no picture."""
    height: int = 0
    fps: int = 30
    audio: bool = False


class Beeps(msgspec.Struct, frozen=True, tag="beeps"):
    """When each beep was handed to the SDK, in nanoseconds of `time.monotonic_ns`."""

    sent_ns: list[int]


@asynccontextmanager
async def painted(width: int, height: int, fps: int) -> AsyncGenerator[rtc.LocalVideoTrack]:
    """A track that shows stamped pictures for the length of the block."""
    source = rtc.VideoSource(width, height)
    painter = Painter(width, height)

    async def paint() -> None:
        due = time.monotonic()
        while True:
            picture = painter.paint()
            source.capture_frame(
                rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, picture),
                timestamp_us=time.monotonic_ns() // 1000,
            )
            # Late, it goes on from now: a burst of stale pictures would measure the pacing.
            due = max(due + 1 / fps, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    track = rtc.LocalVideoTrack.create_video_track("bench", source)
    task = asyncio.create_task(paint())
    try:
        yield track
    finally:
        task.cancel()
        await asyncio.wait([task])
        await source.aclose()


@asynccontextmanager
async def beeping(beeper: Beeper) -> AsyncGenerator[rtc.LocalAudioTrack]:
    """A track that beeps for the length of the block."""
    source = rtc.AudioSource(RATE, 1, queue_size_ms=0)

    async def beep() -> None:
        due = time.monotonic()
        while True:
            samples = beeper.next_frame()
            await source.capture_frame(rtc.AudioFrame(samples, RATE, 1, len(samples) // 2))
            due = max(due + FRAME_MS / 1000, time.monotonic() - 0.05)
            await asyncio.sleep(due - time.monotonic())

    track = rtc.LocalAudioTrack.create_audio_track("bench", source)
    task = asyncio.create_task(beep())
    try:
        yield track
    finally:
        task.cancel()
        await asyncio.wait([task])
        await source.aclose()


async def work(job: Job, say: Say, ended: asyncio.Event) -> None:
    """Publish until the parent ends it."""
    beeper = Beeper(KEPT_BEEPS)
    room = await job.place.join(AGENT, agent=True)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(room.disconnect)
        if job.width:
            options = rtc.TrackPublishOptions(
                source=rtc.TrackSource.SOURCE_CAMERA,
                simulcast=False,
                video_codec=rtc.VideoCodec.VP8,
                video_encoding=rtc.VideoEncoding(max_bitrate=BITRATE, max_framerate=job.fps),
            )
            picture = await stack.enter_async_context(painted(job.width, job.height, job.fps))
            await room.local_participant.publish_track(picture, options)
        if job.audio:
            options = rtc.TrackPublishOptions(
                source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=False
            )
            sound = await stack.enter_async_context(beeping(beeper))
            await room.local_participant.publish_track(sound, options)
        say(Ready())
        await ended.wait()
        say(Beeps(list(beeper.sent_ns)))


if __name__ == "__main__":
    serve(Job, work)
