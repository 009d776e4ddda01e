"""The way up: what surfaces push into microphone, camera and screen, as the agent gets it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal

import anyio
import numpy as np
import pytest
from livekit import rtc
from livelayer_benchmarks.signals.stamped_video import Painter

from livelayer_bus import SurfaceSession
from livelayer_bus.errors import MicrophoneBusyError, SourceBusyError
from livelayer_bus.media import AudioFrame, VideoFrame
from livelayer_bus.testing import PATIENCE
from livelayer_bus.testing.waiting import Signal
from tests.integration.frames_kit import FPS, HEIGHT, WIDTH, number_of, session_in
from tests.rooms.kit import Stage
from tests.support import every

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

Up = Literal["camera", "screen"]

RATE = 48_000  # Hz
TONE = 600  # Hz
PERIOD = RATE // TONE
SQUARE = (b"\x00\x20" * (PERIOD // 2) + b"\x00\xe0" * (PERIOD // 2)) * 6  # 10 ms
LOUD, QUIET = 1000, 16  # what a decoder makes of silence may be off by a few
KINDS = {
    "microphone": rtc.TrackSource.SOURCE_MICROPHONE,
    "camera": rtc.TrackSource.SOURCE_CAMERA,
    "screen": rtc.TrackSource.SOURCE_SCREENSHARE,
}


class AgentsSide:
    """What the agent gets of us: which tracks, and whether they are muted."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._signal = Signal()
        self.muted: set[int] = set()
        for name in ("track_subscribed", "track_unpublished", "track_unsubscribed"):
            room.on(name, lambda *_: self._signal.notify())
        room.on("track_muted", lambda _, publication: self._mute(publication, True))
        room.on("track_unmuted", lambda _, publication: self._mute(publication, False))

    def _mute(self, publication: rtc.RemoteTrackPublication, muted: bool) -> None:
        (self.muted.add if muted else self.muted.discard)(publication.source)
        self._signal.notify()

    def track(self, source: str) -> rtc.RemoteTrack | None:
        """Our track of that source, if there is one."""
        user = self._room.remote_participants.get("user")
        publications = user.track_publications.values() if user else ()
        tracks = [one.track for one in publications if one.source == KINDS[source] and one.track]
        return tracks[0] if tracks else None

    async def has(self, source: str) -> rtc.RemoteTrack:
        """Return our track once it is there."""
        await self._signal.wait_for(lambda: self.track(source) is not None)
        track = self.track(source)
        assert track is not None
        return track

    async def lost(self, source: str) -> None:
        """Return once our track is gone."""
        await self._signal.wait_for(lambda: self.track(source) is None)

    async def sees_muted(self, source: str, muted: bool) -> None:
        """Return once our track is muted, or not."""
        await self._signal.wait_for(lambda: (KINDS[source] in self.muted) is muted)


@asynccontextmanager
async def heard(track: rtc.RemoteTrack) -> AsyncGenerator[rtc.AudioStream]:
    """The agent's own stream on a track of ours."""
    stream = rtc.AudioStream.from_track(
        track=track, sample_rate=RATE, num_channels=1, frame_size_ms=20, capacity=10
    )
    try:
        yield stream
    finally:
        await stream.aclose()


def loudness(event: rtc.AudioFrameEvent) -> int:
    """The largest deflection, of 32,767."""
    return int(np.abs(np.frombuffer(event.frame.data, np.int16).astype(np.int32)).max())


async def pitch(stream: rtc.AudioStream) -> float:
    """The strongest frequency of the next loud 100 ms."""
    loud: list[np.ndarray[tuple[int], np.dtype[np.int16]]] = []
    async for event in stream:
        samples = np.frombuffer(event.frame.data, np.int16)
        loud = [*loud, samples] if loudness(event) > LOUD else []
        if len(loud) == 5:
            break
    sound = np.concatenate(loud)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size)))
    return float(spectrum.argmax() * RATE / sound.size)


async def sounds(stream: rtc.AudioStream) -> None:
    """Return once our tone comes through undistorted, as it does where no packet is late."""
    while abs(await pitch(stream) - TONE) >= 20:
        pass


async def next_number(stream: rtc.VideoStream) -> int:
    """Which picture of ours comes next."""
    async for event in stream:
        frame = event.frame
        if (frame.width, frame.height) == (WIDTH, HEIGHT):
            number = number_of(VideoFrame(frame.data, frame.width, frame.height))
            if number is not None:
                return number
    raise AssertionError("the track ended")


async def test_the_agent_hears_the_microphone_until_it_is_muted_or_released(stage: Stage) -> None:
    agent = AgentsSide(await stage.agent())
    told = anyio.Event()

    async def voice(session: SurfaceSession) -> None:
        async with session.microphone.acquire() as lease, anyio.create_task_group() as group:

            async def speak() -> None:
                while True:
                    await lease.push(AudioFrame(SQUARE, RATE, 1, RATE // 100))

            group.start_soon(speak)
            async with heard(await agent.has("microphone")) as stream:
                await sounds(stream)
                lease.mute()
                await agent.sees_muted("microphone", True)
                async for event in stream:
                    if loudness(event) < QUIET:
                        break
                lease.unmute()
                await agent.sees_muted("microphone", False)
                await sounds(stream)
            assert lease.statistics().dropped == 0
            group.cancel_scope.cancel()
        told.set()

    async with session_in(stage) as session:
        with anyio.fail_after(PATIENCE):
            await session.mount(voice, key="voice", on_fault="raise").wait()
            assert told.is_set()
            await agent.lost("microphone")
        assert session.microphone.owner is None


@pytest.mark.parametrize("source", ["camera", "screen"])
async def test_the_agent_sees_our_pictures_until_they_are_muted_or_released(
    stage: Stage, source: Up
) -> None:
    agent = AgentsSide(await stage.agent())
    told = anyio.Event()

    async def shows(session: SurfaceSession) -> None:
        publisher = session.camera if source == "camera" else session.screen
        painter = Painter(WIDTH, HEIGHT)
        async with publisher.acquire() as lease, anyio.create_task_group() as group:

            async def show() -> None:
                async for _ in every(1 / FPS):
                    await lease.push(VideoFrame(bytes(painter.paint()), WIDTH, HEIGHT))

            group.start_soon(show)
            track = await agent.has(source)
            stream = rtc.VideoStream.from_track(
                track=track, format=rtc.VideoBufferType.I420, capacity=2
            )
            try:
                numbers = [await next_number(stream) for _ in range(10)]
                assert numbers == sorted(set(numbers))
                assert numbers[-1] <= painter.number
                lease.mute()
                await agent.sees_muted(source, True)
                muted_at = painter.number
                lease.unmute()
                await agent.sees_muted(source, False)
                while await next_number(stream) <= muted_at:
                    pass
            finally:
                await stream.aclose()
            assert lease.statistics().pushed > len(numbers)
            assert lease.statistics().dropped == 0
            group.cancel_scope.cancel()
        told.set()

    async with session_in(stage) as session:
        with anyio.fail_after(PATIENCE):
            await session.mount(shows, key="shows", on_fault="raise").wait()
            assert told.is_set()
            await agent.lost(source)


async def test_a_second_owner_is_refused_by_name_and_takes_over_when_the_first_dies(
    stage: Stage,
) -> None:
    agent = AgentsSide(await stage.agent())
    on_air, refused = anyio.Event(), list[SourceBusyError]()
    frame = AudioFrame(SQUARE, RATE, 1, RATE // 100)
    picture = VideoFrame(bytes(Painter(WIDTH, HEIGHT).paint()), WIDTH, HEIGHT)

    async def first(session: SurfaceSession) -> None:
        async with session.microphone.acquire() as microphone, session.camera.acquire() as camera:
            await microphone.push(frame)
            await camera.push(picture)
            on_air.set()
            await anyio.sleep_forever()

    async def second(session: SurfaceSession) -> None:
        for publisher in (session.microphone, session.camera):
            with pytest.raises(SourceBusyError, match="'first'") as caught:
                async with publisher.acquire():
                    pass
            refused.append(caught.value)

    async def third(session: SurfaceSession) -> None:
        async with session.microphone.acquire() as microphone:
            await microphone.push(frame)
            await agent.has("microphone")

    async with session_in(stage) as session:
        holder = session.mount(first, key="first", on_fault="raise")
        with anyio.fail_after(PATIENCE):
            await on_air.wait()
            await agent.has("microphone")
            await agent.has("camera")
            await session.mount(second, key="second", on_fault="raise").wait()
            assert [error.owner for error in refused] == ["first", "first"]
            assert isinstance(refused[0], MicrophoneBusyError)
            await holder.unmount()
            await agent.lost("microphone")
            await agent.lost("camera")
            await session.mount(third, key="third", on_fault="raise").wait()
            await agent.lost("microphone")


async def test_nothing_is_published_before_somebody_pushes(stage: Stage) -> None:
    room = await stage.agent()
    agent = AgentsSide(room)
    picture = VideoFrame(bytes(Painter(WIDTH, HEIGHT).paint()), WIDTH, HEIGHT)
    async with (
        session_in(stage) as session,
        session.microphone.acquire("panel"),
        session.screen.acquire("panel"),
        session.camera.acquire("panel") as lease,
    ):
        await lease.push(picture)
        with anyio.fail_after(PATIENCE):
            await agent.has("camera")
        # Tracks arrive in order: had there been others, they would have come before.
        assert len(room.remote_participants["user"].track_publications) == 1
