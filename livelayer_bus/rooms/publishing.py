"""Tracks of ours in an SDK room: microphone, camera and screen."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from functools import partial
from typing import Any, Final, Generic, cast

from livekit import rtc

from ..errors import BrokenError, ClosedError, MisuseError
from ..media import AudioFrame, VideoFrame
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
    """One track of ours in `room`: made, published once, and closed."""

    _source: Any  # each kind's own
    _track: rtc.LocalAudioTrack | rtc.LocalVideoTrack

    def __init__(self, room: rtc.Room, name: str, options: rtc.TrackPublishOptions) -> None:
        self.name = name
        self._room = room
        self._options = options
        self.publication: rtc.LocalTrackPublication | None = None  # what the room took, once it did
        self.closed = False
        self.dropped = 0  # frames that were kept for an agent, until they were too old

    @abstractmethod
    async def push(self, frame: F) -> None:
        """Return when the frame is taken."""

    async def publish(self) -> None:
        async with asyncio.timeout(ANSWER_SECONDS):
            user = self._room.local_participant
            self.publication = await user.publish_track(self._track, self._options)

    def set_muted(self, muted: bool) -> None:
        """Send silence or no picture, or the real one again; others see the track as muted."""
        self._check()
        if muted:
            self._track.mute()
        else:
            self._track.unmute()

    async def aclose(self) -> None:
        """Unpublish; raises BrokenError if the room did not confirm it. Twice is fine."""
        if self.closed:
            return
        self.closed = True
        try:
            if self.publication is not None and self._room.isconnected():
                async with asyncio.timeout(ANSWER_SECONDS):
                    # Read now: a reconnect gives the publication a new sid.
                    await self._room.local_participant.unpublish_track(self.publication.sid)
        except Exception as exc:
            raise broken(f"the {self.name} was not unpublished cleanly", exc) from exc
        finally:
            await self._source.aclose()

    def _check(self) -> None:
        if self.closed:
            raise ClosedError(f"the {self.name}", "open it again")


class LiveKitMicrophone(LiveKitTrack[AudioFrame]):
    """One published audio track, until it is closed.

    Published before there is an agent, it keeps the last 10 s of sound for the agent that comes,
    as LiveKit's pre-connect buffer: an agent hears that first, then the track.
    """

    _source: rtc.AudioSource

    def __init__(self, room: rtc.Room, frame: AudioFrame, agent: str | None) -> None:
        kind = rtc.TrackSource.SOURCE_MICROPHONE
        options = rtc.TrackPublishOptions(source=kind, preconnect_buffer=agent is None)
        super().__init__(room, "microphone", options)
        rate, channels = frame.sample_rate, frame.num_channels
        self._source = rtc.AudioSource(rate, channels, queue_size_ms=QUEUE_MS)
        self._track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        self._agent = agent
        self._muted = False
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0

    def set_muted(self, muted: bool) -> None:
        super().set_muted(muted)
        self._muted = muted

    async def push(self, frame: AudioFrame) -> None:
        """Return when the frame is taken; waits while 200 ms of sound are waiting to be sent."""
        self._check()
        source = self._source
        if (frame.sample_rate, frame.num_channels) != (source.sample_rate, source.num_channels):
            raise MisuseError(
                f"the microphone takes {source.sample_rate} Hz x {source.num_channels}, not "
                f"{frame.sample_rate} Hz x {frame.num_channels}: resample, or open it so"
            )
        samples = frame.samples_per_channel
        sound = rtc.AudioFrame(frame.data, source.sample_rate, source.num_channels, samples)
        try:
            await source.capture_frame(sound)
        except Exception as exc:
            raise broken("the microphone did not take the frame", exc) from exc
        if self._agent is None and not self._muted:
            self._kept.append(bytes(frame.data))
            self._kept_bytes += frame.nbytes
            most = KEPT_SECONDS * source.sample_rate * source.num_channels * 2
            while self._kept_bytes > most:
                self._kept_bytes -= len(self._kept.popleft())
                self.dropped += 1

    async def hand_over(self, agent: str | None) -> None:
        """Send the agent that became active what was kept for it, also if that is nothing.

        It waits for a buffer that the track has announced; livekit-agents' `PreConnectAudioHandler`
        has the stream's attributes. None: the agent left.
        """
        if agent == self._agent:
            return
        self._agent = agent
        kept, publication = b"".join(self._kept), self.publication
        self._kept.clear()
        self._kept_bytes = 0
        if agent is None or self.closed or not self._options.preconnect_buffer or not publication:
            return
        attributes = {
            "trackId": publication.sid,
            "sampleRate": str(self._source.sample_rate),
            "channels": str(self._source.num_channels),
        }
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                stream = await self._room.local_participant.stream_bytes(
                    "pre-connect audio",
                    total_size=len(kept),
                    mime_type="audio/pcm",
                    attributes=attributes,
                    destination_identities=[agent],
                    topic=PRE_CONNECT_AUDIO_TOPIC,
                )
                await stream.write(kept)
                await stream.aclose()
        except Exception as error:  # noqa: BLE001 - the agent hears the track all the same
            report("sending what was said before the agent came", error)


class LiveKitVideoTrack(LiveKitTrack[VideoFrame]):
    """One published video track, until it is closed."""

    _source: rtc.VideoSource

    def __init__(self, room: rtc.Room, source: SourceName, frame: VideoFrame) -> None:
        self._stamped = frame.metadata is not None
        is_screen, kinds = source == "screen", rtc.TrackSource
        options = rtc.TrackPublishOptions(
            source=kinds.SOURCE_SCREENSHARE if is_screen else kinds.SOURCE_CAMERA,
            simulcast=not is_screen,
            frame_metadata_features=_FEATURES if self._stamped else (),
        )
        super().__init__(room, source, options)
        self._source = rtc.VideoSource(frame.width, frame.height, is_screencast=is_screen)
        self._track = rtc.LocalVideoTrack.create_video_track(source, self._source)
        self._due = 0.0  # on the loop's clock: when the next picture may go out

    async def push(self, frame: VideoFrame) -> None:
        """Return when the encoder has the picture; at most 60 a second go out, the rest waits.

        The SDK reads the frame's own memory; an encoder that is behind leaves pictures out.
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
        metadata, attached = None, frame.metadata
        if attached is not None and self._stamped:
            stamp, number = attached.capture_us, attached.frame_id
            metadata = rtc.FrameMetadata(
                user_timestamp=stamp, frame_id=number, user_data=attached.user_data
            )
        try:
            rotation = cast("rtc.VideoRotation.ValueType", frame.rotation // 90)
            self._source.capture_frame(picture, rotation=rotation, metadata=metadata)
        except Exception as exc:
            raise broken(f"the {self.name} did not take the picture", exc) from exc


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
        return self._dropped + sum(one.dropped for one in self._open)

    def agent_changed(self, agent: str | None) -> None:
        """Send the agent that became active what was said before; None: the agent left."""
        if agent == self._agent:
            return
        self._agent = agent
        self._prune()
        for track in self._open:
            if isinstance(track, LiveKitMicrophone):
                self._tasks.start(partial(track.hand_over, agent), "the pre-connect audio")

    async def open(self, room: rtc.Room, source: SourceName, frame: F) -> PublishedTrack[F]:
        """Publish a track that takes frames like `frame`; cancelled, it is unpublished again."""
        track: LiveKitMicrophone | LiveKitVideoTrack
        if isinstance(frame, AudioFrame):
            track = LiveKitMicrophone(room, frame, self._agent)
        else:
            track = LiveKitVideoTrack(room, source, frame)
        given_up = False

        async def publish() -> None:
            try:
                await track.publish()
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
            if track.publication is not None:
                self._tasks.start(track.aclose, f"unpublishing the {track.name}")
            raise
        if (error := attempt.error) is not None:
            raise broken(f"the room did not take the {track.name}", error) from error
        if self._closed or track.publication is None:
            raise ClosedError("the room")
        self._prune()
        self._open.append(track)
        if isinstance(track, LiveKitMicrophone):
            await track.hand_over(self._agent)  # it may have come meanwhile
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
