"""The agent's picture and voice reach a reader together."""

from __future__ import annotations

import asyncio
import statistics
import time

import anyio
import numpy as np
import pytest
from livekit import rtc

from livelayer_bus.media import AudioChannel, VideoChannel
from tests.rooms.kit import Joined, Stage

pytestmark = pytest.mark.anyio

WIDTH, HEIGHT, RATE = 320, 240, 48_000
BOUND = 0.2  # seconds, as long as a signal; how close they are, `livelayer bench audio` measures
SIGNALS = 5  # that are measured, one a second, after the first two


class Signals:
    """A flash and a beep at the same instants: the first fifth of each second."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._start = time.monotonic()
        self._picture = rtc.VideoSource(WIDTH, HEIGHT)
        self._sound = rtc.AudioSource(RATE, 1, queue_size_ms=20)

    def _on(self) -> bool:
        return (time.monotonic() - self._start) % 1 < 0.2

    async def publish(self) -> None:
        """Publish both tracks."""
        participant = self._room.local_participant
        face = rtc.LocalVideoTrack.create_video_track("face", self._picture)
        voice = rtc.LocalAudioTrack.create_audio_track("voice", self._sound)
        camera, microphone = rtc.TrackSource.SOURCE_CAMERA, rtc.TrackSource.SOURCE_MICROPHONE
        await participant.publish_track(
            face, rtc.TrackPublishOptions(source=camera, simulcast=False)
        )
        await participant.publish_track(voice, rtc.TrackPublishOptions(source=microphone))

    async def flash(self) -> None:
        """Send pictures, thirty a second."""
        grey = b"\x80" * (WIDTH * HEIGHT // 2)
        shades = [bytes([luma]) * (WIDTH * HEIGHT) + grey for luma in (40, 210)]
        for number in range(1_000_000):
            await asyncio.sleep(max(0.0, self._start + number / 30 - time.monotonic()))
            shade = shades[self._on()]
            self._picture.capture_frame(
                rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, shade)
            )

    async def beep(self) -> None:
        """Send sound, 10 ms at a time."""
        wave = np.sin(np.arange(480) * 2 * np.pi * 1_000 / RATE) * 12_000
        sounds = [bytes(960), wave.astype(np.int16).tobytes()]
        while True:
            await self._sound.capture_frame(rtc.AudioFrame(sounds[self._on()], RATE, 1, 480))

    async def aclose(self) -> None:
        """Free the sound's source."""
        await self._sound.aclose()


async def flashes(channel: VideoChannel, seen: list[float]) -> None:
    """Note when the picture turned light."""
    light = True
    with channel.subscribe() as frames:
        async for frame in frames:
            was, light = light, frame.planes[0][frame.width] > 120
            if light and not was:
                seen.append(time.monotonic())


async def beeps(channel: AudioChannel, heard: list[float]) -> None:
    """Note when the sound turned loud."""
    loud = True
    with channel.subscribe() as sound:
        async for frame in sound:
            was, loud = loud, bool(np.abs(frame.to_ndarray().astype(np.int32)).max() > 3_000)
            if loud and not was:
                heard.append(time.monotonic())


async def test_a_flash_and_a_beep_are_delivered_together(stage: Stage, joined: Joined) -> None:
    signals = Signals(await stage.agent())
    await signals.publish()
    seen: list[float] = []
    heard: list[float] = []
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for work in (signals.flash, signals.beep):
                group.start_soon(work)
            group.start_soon(flashes, joined.video.channel, seen)
            group.start_soon(beeps, joined.audio.channel, heard)
            while len(seen) < SIGNALS + 2:  # noqa: ASYNC110 - the signals are seconds apart
                await anyio.sleep(0.3)
            group.cancel_scope.cancel()
    offsets = [min((at - flash for at in heard), key=abs) for flash in seen[2:]]
    assert abs(statistics.median(offsets)) < BOUND
    await signals.aclose()
