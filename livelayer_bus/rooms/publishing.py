"""Tracks of ours in an SDK room: microphone, camera and screen."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from functools import partial
from typing import Final, Generic, cast, final

from livekit import rtc

from ..errors import BrokenError, ClosedError, MisuseError
from ..media import AudioFrame, FrameMetadata, VideoFrame
from ..media.publishing import F, PublishedTrack, SourceName
from ..tasks import RootTask, TaskOwner
from .errors import broken, report
from .names import PRE_CONNECT_AUDIO_TOPIC

QUEUE_MS: Final = 200  # of sound the SDK holds before `push` waits
MAX_FPS: Final = 60  # pictures a second; `push` waits so that no burst reaches the encoder
ANSWER_SECONDS: Final = 10.0  # for the room to take a track, or to let it go; some never answer
CLOSE_SECONDS: Final = 1.0  # likewise, when the whole room is closed
KEPT_SECONDS: Final = 10.0  # of sound that is kept for an agent that is not there yet

_FEATURES: Final = (
    rtc.FrameMetadataFeature.FMF_USER_TIMESTAMP,
    rtc.FrameMetadataFeature.FMF_FRAME_ID,
    rtc.FrameMetadataFeature.FMF_USER_DATA,
)


class LiveKitTrack(ABC, Generic[F]):
    """One track of ours: made, published once, and closed."""

    def __init__(
        self,
        name: str,
        source: rtc.AudioSource | rtc.VideoSource,
        track: rtc.LocalAudioTrack | rtc.LocalVideoTrack,
        options: rtc.TrackPublishOptions,
    ) -> None:
        self.name = name
        self._sdk_source = source
        self._track = track
        self._options = options
        self._room: rtc.Room | None = None
        self._publication: rtc.LocalTrackPublication | None = None
        self.closed = False
        self.dropped = 0
        """Frames that were kept for an agent, until they were too old."""

    @abstractmethod
    async def push(self, frame: F) -> None:
        """Return when the frame is taken."""

    @property
    def published(self) -> bool:
        """Whether the room took the track, ever."""
        return self._publication is not None

    async def publish(self, room: rtc.Room) -> None:
        """Have the room take the track; the SDK's own errors come out."""
        async with asyncio.timeout(ANSWER_SECONDS):
            publication = await room.local_participant.publish_track(self._track, self._options)
        self._room, self._publication = room, publication

    def set_muted(self, muted: bool) -> None:
        """Send silence or no picture, or the real one again; others see the track as muted."""
        self._check()
        if muted:
            self._track.mute()
        else:
            self._track.unmute()

    async def aclose(self) -> None:
        """Unpublish; closing twice does nothing.

        Raises:
            BrokenError: the room did not confirm it.
        """
        if self.closed:
            return
        self.closed = True
        room, publication = self._room, self._publication
        try:
            if room is not None and publication is not None and room.isconnected():
                async with asyncio.timeout(ANSWER_SECONDS):
                    # Read now: a reconnect gives the publication a new sid.
                    await room.local_participant.unpublish_track(publication.sid)
        except Exception as exc:
            problem = broken(f"the {self.name} was not unpublished cleanly", exc)
            raise BrokenError(str(problem)) from exc
        finally:
            await self._sdk_source.aclose()

    def _check(self) -> None:
        if self.closed:
            raise ClosedError(f"the {self.name}", "open it again")


@final
class LiveKitMicrophone(LiveKitTrack[AudioFrame]):
    """One published audio track, until it is closed.

    Published before there is an agent, it keeps the last 10 s of sound for the agent that comes,
    as LiveKit's pre-connect buffer: an agent hears that first, then the track.
    """

    def __init__(self, sample_rate: int, num_channels: int, agent: str | None) -> None:
        self._source = rtc.AudioSource(sample_rate, num_channels, queue_size_ms=QUEUE_MS)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_MICROPHONE, preconnect_buffer=agent is None
        )
        super().__init__("microphone", self._source, track, options)
        self._agent = agent
        self._muted = False
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0

    def set_muted(self, muted: bool) -> None:
        """Send silence, or sound again; what is pushed meanwhile is not kept either."""
        super().set_muted(muted)
        self._muted = muted

    async def push(self, frame: AudioFrame) -> None:
        """Return when the frame is taken; waits while 200 ms of sound are waiting to be sent.

        Raises:
            ClosedError: the microphone was closed.
            MisuseError: the frame has another rate or number of channels than the track.
            BrokenError: the SDK did not take the frame.
        """
        self._check()
        source = self._source
        if (frame.sample_rate, frame.num_channels) != (source.sample_rate, source.num_channels):
            raise MisuseError(
                f"the microphone takes {source.sample_rate} Hz x {source.num_channels}, not "
                f"{frame.sample_rate} Hz x {frame.num_channels}: resample, or open it so"
            )
        sound = rtc.AudioFrame(
            frame.data, frame.sample_rate, frame.num_channels, frame.samples_per_channel
        )
        try:
            await source.capture_frame(sound)
        except Exception as exc:
            raise broken("the microphone did not take the frame", exc) from exc
        if self._agent is None and not self._muted:
            self._keep(bytes(frame.data))

    async def hand_over(self, agent: str | None) -> None:
        """Send the agent that became active what was kept for it; None: it left.

        An agent waits for it if the track says that there is a buffer, so one is sent even when it
        is empty. See livekit-agents' `PreConnectAudioHandler` for the stream's attributes.
        """
        if agent == self._agent:
            return
        self._agent = agent
        room, publication = self._room, self._publication
        kept = b"".join(self._kept)
        self._kept.clear()
        self._kept_bytes = 0
        if agent is None or self.closed or not self._options.preconnect_buffer:
            return
        if room is None or publication is None:
            return
        rate, channels = self._source.sample_rate, self._source.num_channels
        async with asyncio.timeout(ANSWER_SECONDS):
            stream = await room.local_participant.stream_bytes(
                "pre-connect audio",
                total_size=len(kept),
                mime_type="audio/pcm",
                attributes={
                    "trackId": publication.sid,
                    "sampleRate": str(rate),
                    "channels": str(channels),
                },
                destination_identities=[agent],
                topic=PRE_CONNECT_AUDIO_TOPIC,
            )
            await stream.write(kept)
            await stream.aclose()

    def _keep(self, sound: bytes) -> None:
        self._kept.append(sound)
        self._kept_bytes += len(sound)
        most = KEPT_SECONDS * self._source.sample_rate * self._source.num_channels * 2
        while self._kept_bytes > most:
            self._kept_bytes -= len(self._kept.popleft())
            self.dropped += 1


@final
class LiveKitVideoTrack(LiveKitTrack[VideoFrame]):
    """One published video track, until it is closed."""

    def __init__(self, source: SourceName, width: int, height: int, stamped: bool) -> None:
        self._stamped = stamped
        is_screen, kinds = source == "screen", rtc.TrackSource
        self._source = rtc.VideoSource(width, height, is_screencast=is_screen)
        track = rtc.LocalVideoTrack.create_video_track(source, self._source)
        options = rtc.TrackPublishOptions(
            source=kinds.SOURCE_SCREENSHARE if is_screen else kinds.SOURCE_CAMERA,
            simulcast=not is_screen,
            frame_metadata_features=_FEATURES if stamped else (),
        )
        super().__init__(source, self._source, track, options)
        self._due = 0.0  # on the loop's clock: when the next picture may go out

    async def push(self, frame: VideoFrame) -> None:
        """Return when the encoder has the picture; at most 60 a second go out, the rest waits.

        The SDK reads the frame's own memory; an encoder that is behind leaves pictures out.

        Raises:
            ClosedError: the track was closed.
            BrokenError: the SDK did not take the picture.
        """
        self._check()
        loop = asyncio.get_running_loop()
        now = loop.time()
        start = max(now, self._due)
        self._due = start + 1 / MAX_FPS
        if start > now:
            await asyncio.sleep(start - now)
            self._check()
        picture = rtc.VideoFrame(frame.width, frame.height, rtc.VideoBufferType.I420, frame.data)
        metadata = frame.metadata
        try:
            self._source.capture_frame(
                picture,
                rotation=cast("rtc.VideoRotation.ValueType", frame.rotation // 90),
                metadata=_sdk_metadata(metadata) if metadata and self._stamped else None,
            )
        except Exception as exc:
            raise broken(f"the {self.name} did not take the picture", exc) from exc


def _sdk_metadata(metadata: FrameMetadata) -> rtc.FrameMetadata:
    stamp, frame_id, user_data = metadata.capture_us, metadata.frame_id, metadata.user_data
    return rtc.FrameMetadata(user_timestamp=stamp, frame_id=frame_id, user_data=user_data)


@final
class Publications:
    """The tracks of ours in one room: opened, and at the end closed, together."""

    def __init__(self) -> None:
        self._tasks = TaskOwner()
        self._attempts: list[RootTask] = []
        self._open: list[LiveKitMicrophone | LiveKitVideoTrack] = []
        self._agent: str | None = None
        self._dropped = 0  # of tracks that are closed
        self._closed = False

    @property
    def dropped(self) -> int:
        """Frames of sound that no agent heard: it came more than 10 s later."""
        return self._dropped + sum(one.dropped for one in self._open)

    def agent_changed(self, agent: str | None) -> None:
        """Send the agent that became active what was said before; None: the agent left."""
        if agent == self._agent:
            return
        self._agent = agent
        self._prune()
        for track in self._open:
            if isinstance(track, LiveKitMicrophone):
                self._tasks.start(partial(self._hand_over, track, agent), "the pre-connect audio")

    async def open(self, room: rtc.Room, source: SourceName, frame: F) -> PublishedTrack[F]:
        """Publish a track that takes frames like `frame`; cancelled, it is unpublished again.

        Raises:
            ClosedError: the room was closed meanwhile.
            BrokenError: the room did not take the track.
        """
        track: LiveKitMicrophone | LiveKitVideoTrack
        if isinstance(frame, AudioFrame):
            track = LiveKitMicrophone(frame.sample_rate, frame.num_channels, self._agent)
        else:
            stamped = frame.metadata is not None
            track = LiveKitVideoTrack(source, frame.width, frame.height, stamped)
        await self._publish(room, track)
        self._prune()
        self._open.append(track)
        if isinstance(track, LiveKitMicrophone):
            await self._hand_over(track, self._agent)  # it may have come meanwhile
        return cast("PublishedTrack[F]", track)

    async def aclose(self) -> None:
        """Unpublish them all, those being published included; bounded in time."""
        self._closed = True
        for track in self._open:
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await track.aclose()
            except (BrokenError, TimeoutError) as error:
                report(f"closing the {track.name}", error)
        self._open.clear()
        # An attempt cancelled half-way may publish all the same: let it end, if the room answers.
        for attempt in self._attempts:
            await attempt.wait(CLOSE_SECONDS)
        await self._tasks.aclose(CLOSE_SECONDS)

    def _prune(self) -> None:
        self._dropped += sum(one.dropped for one in self._open if one.closed)
        self._open = [one for one in self._open if not one.closed]

    async def _hand_over(self, track: LiveKitMicrophone, agent: str | None) -> None:
        try:
            await track.hand_over(agent)
        except Exception as error:  # noqa: BLE001 - the agent hears the track all the same
            report("sending what was said before the agent came", error)

    async def _publish(self, room: rtc.Room, track: LiveKitMicrophone | LiveKitVideoTrack) -> None:
        given_up = False

        async def publish() -> None:
            try:
                await track.publish(room)
            except BaseException:
                await track.aclose()
                raise
            if given_up:
                await track.aclose()

        attempt = self._tasks.start(publish, f"publishing the {track.name}")
        self._attempts = [one for one in self._attempts if not one.ended]
        self._attempts.append(attempt)
        try:
            await attempt.wait()
        except BaseException:
            given_up = True
            if track.published:
                self._tasks.start(track.aclose, f"unpublishing the {track.name}")
            raise
        if attempt.error is not None:
            problem = broken(f"the room did not take the {track.name}", attempt.error)
            raise problem from attempt.error
        if self._closed or not track.published:
            raise ClosedError("the room")
