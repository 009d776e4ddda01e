"""The agent of the media benchmarks in a process of its own: stamped frames, and beeps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Final

import msgspec
from livekit import rtc

from ..harness import AGENT, Process, Ready, RoomRef, Send, running, started
from .beeps import FRAME_MS, RATE, Beeper
from .stamped_video import Painter

READY_SECONDS: Final = 30.0  # for the publisher to join and publish, and to tell its beeps
BITRATE: Final = 2_500_000  # bits a second, what 720p30 gets by default
KEPT_BEEPS: Final = 20_000


class Job(msgspec.Struct, frozen=True):
    """What to publish where."""

    room: RoomRef
    width: int = 0
    """0 for no video."""
    height: int = 0
    fps: int = 30
    audio: bool = False


class Beeps(msgspec.Struct, frozen=True, tag="beeps"):
    """When each beep was handed to the SDK, in nanoseconds of `time.monotonic_ns`."""

    sent_ns: list[int]


@asynccontextmanager
async def painted(width: int, height: int, fps: int) -> AsyncGenerator[rtc.LocalVideoTrack]:
    """A track of stamped frames for the length of the block."""
    source = rtc.VideoSource(width, height)
    painter = Painter(width, height)

    async def paint() -> None:
        due = time.monotonic()
        while True:
            frame = rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, painter.paint())
            source.capture_frame(frame, timestamp_us=time.monotonic_ns() // 1000)
            # Late, it goes on from now: a burst of stale frames would measure the pacing.
            due = max(due + 1 / fps, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    try:
        async with running(paint()):
            yield rtc.LocalVideoTrack.create_video_track("bench", source)
    finally:
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

    try:
        async with running(beep()):
            yield rtc.LocalAudioTrack.create_audio_track("bench", source)
    finally:
        await source.aclose()


async def publish(job: Job, send: Send, ended: asyncio.Event) -> None:
    """Publish until the parent ends it; then tell when each beep was sent."""
    beeper = Beeper(KEPT_BEEPS)
    room = await job.room.join(AGENT, agent=True)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(room.disconnect)
        if job.width:
            options = rtc.TrackPublishOptions(
                source=rtc.TrackSource.SOURCE_CAMERA,
                simulcast=False,
                video_codec=rtc.VideoCodec.VP8,
                video_encoding=rtc.VideoEncoding(max_bitrate=BITRATE, max_framerate=job.fps),
            )
            video = await stack.enter_async_context(painted(job.width, job.height, job.fps))
            await room.local_participant.publish_track(video, options)
        if job.audio:
            options = rtc.TrackPublishOptions(
                source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=False
            )
            audio = await stack.enter_async_context(beeping(beeper))
            await room.local_participant.publish_track(audio, options)
        send(Ready())
        await ended.wait()
        send(Beeps(list(beeper.sent_ns)))


@contextmanager
def publishing(
    room: RoomRef, width: int = 0, height: int = 0, fps: int = 30, *, audio: bool = False
) -> Generator[Process]:
    """A process that publishes into the room for the length of the block.

    Raises:
        BrokenError: it failed.
    """
    with started(publish, Job(room, width, height, fps, audio)) as process:
        process.answer(Ready, READY_SECONDS)
        yield process


def end_publishing(process: Process) -> list[int]:
    """End it; when each beep was handed to the SDK, on `time.monotonic_ns`."""
    process.end()
    return process.answer(Beeps, READY_SECONDS).sent_ns
