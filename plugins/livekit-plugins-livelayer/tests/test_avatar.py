"""The face as an agent's avatar: seen and heard, its mouth in step with the voice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import numpy as np
import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice import room_io
from livekit.agents.voice.avatar import AudioSegmentEnd
from livekit.plugins.livelayer import FaceAvatar, FaceVideo
from livekit.plugins.livelayer.face import (
    AUDIO_RATE,
    FRAMES_PER_SECOND,
    HEIGHT,
    VISEMES_KEY,
    WIDTH,
    Expression,
    Face,
    MouthShape,
    Viseme,
)
from livekit.plugins.livelayer.testing import FakeTTS, ScriptedModel, ScriptedSurface, run_agent
from livekit.plugins.livelayer.testing.model import hum

from livelayer_bus.errors import MisuseError
from livelayer_bus.testing import PATIENCE

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

MOUTH = (slice(208, 274), slice(272, 368))


def darkness(frame: rtc.VideoFrame) -> float:
    """How much of the mouth's region is dark: an open mouth is."""
    luma = np.frombuffer(frame.data, dtype=np.uint8)[: WIDTH * HEIGHT].reshape(HEIGHT, WIDTH)
    return float((luma[MOUTH] < 100).sum())


def tone(seconds: float) -> rtc.AudioFrame:
    pcm = hum(seconds)
    return rtc.AudioFrame(pcm, AUDIO_RATE, 1, len(pcm) // 2)


@pytest.fixture(scope="module")
def face() -> Face:
    return Face()


async def parts(video: FaceVideo, number: int) -> list[Any]:
    found: list[Any] = []
    async for part in video:
        found.append(part)
        if len(found) == number:
            break
    return found


async def test_audio_and_pictures_leave_in_equal_measure_and_the_end_follows(
    face: Face,
) -> None:
    video = FaceVideo(face, Expression())
    await video.push_audio(tone(1.0))
    await video.push_audio(AudioSegmentEnd())
    found = await parts(video, 2 * FRAMES_PER_SECOND + 2)
    heard = [part for part in found if isinstance(part, rtc.AudioFrame)]
    pictures = [part for part in found if isinstance(part, rtc.VideoFrame)]
    assert sum(part.samples_per_channel for part in heard) == AUDIO_RATE
    assert len(heard) == FRAMES_PER_SECOND
    assert len(pictures) in (FRAMES_PER_SECOND, FRAMES_PER_SECOND + 1)
    assert sum(isinstance(part, AudioSegmentEnd) for part in found) == 1
    for picture, sound in zip(found[0:20:2], found[1:20:2], strict=True):
        assert isinstance(picture, rtc.VideoFrame)
        assert isinstance(sound, rtc.AudioFrame)


async def test_the_mouth_opens_with_the_voice_and_closes_without(face: Face) -> None:
    video = FaceVideo(face, Expression())
    silent = [darkness(part) for part in await parts(video, 10)]
    await video.push_audio(tone(1.0))
    speaking = [
        darkness(part) for part in await parts(video, 40) if isinstance(part, rtc.VideoFrame)
    ]
    video.clear_buffer()
    after = [darkness(part) for part in await parts(video, 5)]
    assert max(speaking) > max(silent) + 150
    assert max(after) < max(speaking) - 150


async def test_mouth_shapes_of_the_voice_lead_where_it_has_them(face: Face) -> None:
    video = FaceVideo(face, Expression())
    silent = [darkness(part) for part in await parts(video, 10)]
    hummed = tone(1.0)
    hummed.userdata[VISEMES_KEY] = (Viseme(0.0, MouthShape()), Viseme(0.5, MouthShape(1.0)))
    await video.push_audio(hummed)
    found = [part for part in await parts(video, 58) if isinstance(part, rtc.VideoFrame)]
    mouths = [darkness(picture) for picture in found]
    assert max(mouths[:14]) < max(silent) + 50
    assert max(mouths[16:]) > max(silent) + 150


async def test_a_paused_speech_is_silent_and_continues_where_it_was(face: Face) -> None:
    video = FaceVideo(face, Expression())
    await video.push_audio(tone(1.0))
    await video.push_audio(AudioSegmentEnd())
    before = await parts(video, 20)
    video.pause()
    paused = await parts(video, 20)
    video.resume()
    after = await parts(video, 42)
    assert not any(isinstance(part, rtc.AudioFrame) for part in paused)
    audio = [part for part in before + after if isinstance(part, rtc.AudioFrame)]
    pcm = b"".join(bytes(part.data.cast("B")) for part in audio)
    assert pcm == bytes(tone(1.0).data.cast("B"))
    assert isinstance(after[-1], AudioSegmentEnd)


async def test_a_cleared_speech_is_never_heard_also_not_what_was_waiting(face: Face) -> None:
    video = FaceVideo(face, Expression())
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(push(video, [tone(0.02)] * 100))
        await anyio.wait_all_tasks_blocked()
        assert not waiting.done()
        video.clear_buffer()
        assert all(isinstance(part, rtc.VideoFrame) for part in await parts(video, 5))


async def push(video: FaceVideo, frames: list[rtc.AudioFrame]) -> None:
    for frame in frames:
        await video.push_audio(frame)


class Watcher:
    """Sees and hears the agent as a person would."""

    def __init__(self, room: rtc.Room) -> None:
        self.mouths: list[float] = []
        self.loudest = 0.0
        self.seen: list[float] = []
        self.changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        room.on("track_subscribed", self._on_track)

    def _on_track(self, track: rtc.RemoteTrack, *_: Any) -> None:
        watch = self._look if track.kind == rtc.TrackKind.KIND_VIDEO else self._listen
        self._tasks.append(asyncio.create_task(watch(track)))

    async def _look(self, track: rtc.RemoteTrack) -> None:
        stream = rtc.VideoStream(track, capacity=2, format=rtc.VideoBufferType.I420)
        async for event in stream:
            self.seen.append(darkness(event.frame))
            self.changed.set()

    async def _listen(self, track: rtc.RemoteTrack) -> None:
        async for event in rtc.AudioStream(track, capacity=100):
            samples = np.frombuffer(event.frame.data, dtype=np.int16).astype(np.float64)
            self.loudest = max(self.loudest, float(np.sqrt(np.mean(samples * samples))))
            self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(PATIENCE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_a_participant_sees_and_hears_the_agent_speak() -> None:
    surface = ScriptedSurface()
    watcher = Watcher(surface.room)
    avatar = FaceAvatar()
    session: AgentSession[Any] = AgentSession(
        llm=ScriptedModel(lambda _: "This is a long sentence for a face to say aloud."),
        tts=FakeTTS(),
        user_away_timeout=None,
    )
    options = room_io.RoomOptions(audio_input=False)
    async with run_agent(
        Agent(instructions="-"),
        session=session,
        surface=surface,
        room_options=options,
        avatar=avatar,
    ):
        await surface.type("speak")
        await surface.next("avatar_active")
        await surface.next("avatar_idle")
        assert "avatar_stream_ready" in surface.types()
        await watcher.until(lambda: watcher.loudest > 1_000)
        await watcher.until(lambda: max(watcher.seen) > min(watcher.seen) + 150)
        await watcher.aclose()


async def test_a_face_needs_a_connected_room_and_starts_once() -> None:
    with pytest.raises(MisuseError, match="connect the room first"):
        await FaceAvatar().start(AgentSession(), rtc.Room())
