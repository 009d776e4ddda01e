"""`FaceAvatar`: the drawn face as the avatar of any agent, moved by the agent's own voice."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, Never, final

from livekit import rtc
from livekit.agents import AgentSession, AgentStateChangedEvent, UserStateChangedEvent
from livekit.agents.voice.avatar import AudioSegmentEnd, AvatarSession
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities

from livelayer_bus.errors import MisuseError

from .drawing import HEIGHT, WIDTH, Face
from .expression import Expression
from .video import AUDIO_RATE, FRAMES_PER_SECOND, FaceVideo

PROVIDER: Final = "livelayer-face"
_QUEUE_MS: Final = 100  # of audio and pictures that are ready ahead of their time
_MAX_BITRATE: Final = 900_000  # bits a second; a drawn face needs far less


@final
class FaceAvatar(AvatarSession[Never]):
    """Shows a face that speaks what the agent says; needs no service, key or second participant.

    The agent itself publishes the face and its voice, in step. The face is there from `start` on;
    speech waits until the first participant has subscribed to the voice. Start it before the
    session, like every avatar of livekit-agents. It ends with `aclose`, or with the job.
    """

    def __init__(self) -> None:
        super().__init__()
        self._expression = Expression()
        self._player: _Player | None = None
        self._session: AgentSession[Any] | None = None
        self._identity = ""

    @property
    def avatar_identity(self) -> str:
        """The agent's own identity: it publishes the face."""
        return self._identity

    @property
    def provider(self) -> str:
        """The name in metrics."""
        return PROVIDER

    async def start(self, agent_session: AgentSession[Any], room: rtc.Room) -> None:
        """Become the session's voice and face.

        Args:
            agent_session: The session, not started yet.
            room: The agent's room, connected.

        Raises:
            MisuseError: the room is not connected, or the avatar was started before.
        """
        if self._player is not None:
            raise MisuseError("this FaceAvatar was started before: create a new one")
        if not room.isconnected():
            raise MisuseError("connect the room first: await ctx.connect()")
        self._identity = room.local_participant.identity
        # Drawing what every picture needs takes a fifth of a second.
        face = await asyncio.to_thread(Face)
        self._player = _Player(FaceVideo(face, self._expression))
        self._session = agent_session
        agent_session.on("agent_state_changed", self._on_agent_state)
        agent_session.on("user_state_changed", self._on_user_state)
        await super().start(agent_session, room)
        await self._player.start(room)
        agent_session.output.audio = self._player.output

    async def aclose(self) -> None:
        """Stop drawing and speaking. Repeatable."""
        session, self._session = self._session, None
        if session is not None:
            session.off("agent_state_changed", self._on_agent_state)
            session.off("user_state_changed", self._on_user_state)
        # The base class would remove the avatar's participant, which here is the agent itself.
        self._room = None
        await super().aclose()
        if self._player is not None:
            await self._player.aclose()

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        self._expression.set_state(event.new_state)

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        self._expression.set_user_speaking(event.new_state == "speaking")


@final
class _Player:
    """Publishes what a `FaceVideo` yields, thirty pictures a second.

    livekit-agents' `AvatarRunner` publishes no picture before a participant has subscribed to the
    audio; a surface without audio would never see the face.
    """

    def __init__(self, video: FaceVideo) -> None:
        self._video = video
        self._audio_source = rtc.AudioSource(AUDIO_RATE, 1, queue_size_ms=_QUEUE_MS)
        self._video_source = _StampedSource(WIDTH, HEIGHT)
        self._sync = rtc.AVSynchronizer(
            audio_source=self._audio_source,
            video_source=self._video_source,
            video_fps=FRAMES_PER_SECOND,
            video_queue_size_ms=_QUEUE_MS,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self.output = _FaceVoice(video, self._audio_source)

    async def start(self, room: rtc.Room) -> None:
        """Publish both tracks, and begin to draw."""
        me = room.local_participant
        voice = await me.publish_track(
            rtc.LocalAudioTrack.create_audio_track("avatar_audio", self._audio_source),
            rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE),
        )
        await me.publish_track(
            rtc.LocalVideoTrack.create_video_track("avatar_video", self._video_source),
            rtc.TrackPublishOptions(
                source=rtc.TrackSource.SOURCE_CAMERA,
                simulcast=False,
                frame_metadata_features=[rtc.FrameMetadataFeature.FMF_USER_TIMESTAMP],
                video_encoding=rtc.VideoEncoding(
                    max_bitrate=_MAX_BITRATE, max_framerate=FRAMES_PER_SECOND
                ),
            ),
        )
        self._tasks = [
            asyncio.create_task(self._play(), name="face avatar"),
            asyncio.create_task(self._wait_for_listener(voice), name="face avatar listener"),
        ]

    async def aclose(self) -> None:
        """End drawing, and free the sources. Repeatable."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sync.aclose()
        await self._audio_source.aclose()
        await self._video_source.aclose()

    async def _wait_for_listener(self, voice: rtc.LocalTrackPublication) -> None:
        # Audio that is played before is lost.
        await voice.wait_for_subscription()
        self.output.set_audible()

    async def _play(self) -> None:
        async for part in self._video:
            if isinstance(part, AudioSegmentEnd):
                self.output.finish(interrupted=False)
                continue
            await self._sync.push(part)
            if isinstance(part, rtc.AudioFrame):
                self.output.advance(part.duration)


class _StampedSource(rtc.VideoSource):
    """A video source whose pictures carry the time at which they were captured."""

    def capture_frame(self, frame: rtc.VideoFrame, **options: Any) -> None:
        stamp = rtc.FrameMetadata(user_timestamp=time.time_ns() // 1000)  # microseconds
        options.setdefault("metadata", stamp)
        super().capture_frame(frame, **options)


@final
class _FaceVoice(AudioOutput):
    """The session's audio output: gives the audio to the face, and reports what was played."""

    def __init__(self, video: FaceVideo, source: rtc.AudioSource) -> None:
        super().__init__(
            label=PROVIDER,
            sample_rate=AUDIO_RATE,
            capabilities=AudioOutputCapabilities(pause=True),
        )
        self._video = video
        self._source = source
        self._audible = False
        self._paused = False
        self._capturing = False
        self._segments = 0  # captured and not finished
        self._position = 0.0  # seconds played of the first of them
        video.pause()

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Add a frame to the speech; waits while much is waiting."""
        await super().capture_frame(frame)
        if not self._capturing:
            self._capturing = True
            self._segments += 1
        await self._video.push_audio(frame)

    def flush(self) -> None:
        """End the speech: no more frames follow."""
        super().flush()
        if self._capturing:
            self._capturing = False
            self._video.end_segment()

    def clear_buffer(self) -> None:
        """Stop speaking at once."""
        self._video.clear_buffer()
        self._source.clear_queue()
        while self._segments:
            self.finish(interrupted=True)

    def pause(self) -> None:
        """Hold the speech."""
        super().pause()
        self._paused = True
        self._video.pause()

    def resume(self) -> None:
        """Continue the speech."""
        super().resume()
        self._paused = False
        if self._audible:
            self._video.resume()

    def set_audible(self) -> None:
        """Begin to speak: a participant listens."""
        self._audible = True
        if not self._paused:
            self._video.resume()

    def advance(self, seconds: float) -> None:
        """Note that audio was played; the last of a speech that was just cleared does not count."""
        if not self._segments:
            return
        if self._position == 0.0:
            self.on_playback_started(created_at=time.time())
        self._position += seconds

    def finish(self, *, interrupted: bool) -> None:
        """Report the end of the first unfinished speech, if there is one."""
        position, self._position = self._position, 0.0
        if self._segments:
            self._segments -= 1
            self.on_playback_finished(playback_position=position, interrupted=interrupted)
