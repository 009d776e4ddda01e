"""The agent's picture and voice reach a reader together; `livelayer bench audio` measures it."""

from __future__ import annotations

import anyio
import numpy as np
import pytest
from livekit import rtc

from livelayer_bus.media import AudioChannel, VideoChannel
from livelayer_bus.testing import PATIENCE
from livelayer_bus.testing.waiting import Signal
from tests.rooms.kit import Joined, Stage
from tests.support import every

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

WIDTH, HEIGHT, RATE = 320, 240, 48_000
SIGNALS = 5


class Signals:
    """A flash and a beep that begin and end at the same instants."""

    def __init__(self, room: rtc.Room) -> None:
        self.on = False
        self._room = room
        self._picture = rtc.VideoSource(WIDTH, HEIGHT)
        self._sound = rtc.AudioSource(RATE, 1, queue_size_ms=20)

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
        async for _ in every(1 / 30):
            shade = shades[self.on]
            self._picture.capture_frame(
                rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, shade)
            )

    async def beep(self) -> None:
        """Send sound, 10 ms at a time."""
        wave = np.sin(np.arange(480) * 2 * np.pi * 1_000 / RATE) * 12_000
        sounds = [bytes(960), wave.astype(np.int16).tobytes()]
        while True:
            await self._sound.capture_frame(rtc.AudioFrame(sounds[self.on], RATE, 1, 480))

    async def aclose(self) -> None:
        """Free the sound's source."""
        await self._sound.aclose()


class Reader:
    """What a reader sees and hears at the moment."""

    def __init__(self) -> None:
        self.light = self.loud = False
        self._signal = Signal()

    async def looks(self, channel: VideoChannel) -> None:
        with channel.subscribe() as frames:
            async for frame in frames:
                self.light = frame.planes[0][frame.width] > 120
                self._signal.notify()

    async def listens(self, channel: AudioChannel) -> None:
        with channel.subscribe() as sound:
            async for frame in sound:
                self.loud = bool(np.abs(frame.to_ndarray().astype(np.int32)).max() > 3_000)
                self._signal.notify()

    async def notices(self, on: bool) -> None:
        """Return when both have begun, or both have ended."""
        with anyio.fail_after(PATIENCE):
            await self._signal.wait_for(lambda: self.light == self.loud == on)


async def test_a_flash_and_a_beep_are_delivered_together(stage: Stage, joined: Joined) -> None:
    signals, reader = Signals(await stage.agent()), Reader()
    await signals.publish()
    async with anyio.create_task_group() as group:
        group.start_soon(signals.flash)
        group.start_soon(signals.beep)
        group.start_soon(reader.looks, joined.video.channel)
        group.start_soon(reader.listens, joined.audio.channel)
        for _ in range(SIGNALS):
            for on in (True, False):
                signals.on = on
                await reader.notices(on)
        group.cancel_scope.cancel()
    await signals.aclose()
