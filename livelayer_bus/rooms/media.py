"""The agent's audio and video tracks: one SDK stream each, every frame copied once into a channel.

The SDK itself copies a frame out of native memory into a `bytearray` and frees the native one;
that `bytearray` is adopted by the frame every surface shares.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from typing import Final, Protocol, cast, final

from livekit import rtc

from livelayer_bus._tasks import RootTask, TaskOwner
from livelayer_bus.contract import MediaWriters, RoomSink, TrackKind
from livelayer_bus.errors import ClosedError
from livelayer_bus.media import AudioFrame, AudioWriter, FrameMetadata, VideoFrame, VideoWriter
from livelayer_bus.rooms.agent import ON_BEHALF_ATTRIBUTE, AgentWatch
from livelayer_bus.rooms.listeners import report

SAMPLE_RATE: Final = 48_000  # Hz; what WebRTC decodes to, so nothing is resampled
CHANNELS: Final = 1
VIDEO_CAPACITY: Final = 2  # frames the SDK's stream may hold for us; it drops the oldest
AUDIO_CAPACITY: Final = 50  # frames of 10 ms, likewise
CLOSE_SECONDS: Final = 1.0  # for the SDK to confirm that a stream has ended

_Source = rtc.TrackSource
_SOURCES: Final = {  # what speaks or shows a face comes before what merely accompanies it
    "video": (_Source.SOURCE_CAMERA, _Source.SOURCE_UNKNOWN, _Source.SOURCE_SCREENSHARE),
    "audio": (
        _Source.SOURCE_MICROPHONE,
        _Source.SOURCE_UNKNOWN,
        _Source.SOURCE_SCREENSHARE_AUDIO,
    ),
}


class _Closable(Protocol):
    async def aclose(self) -> None: ...


class _Feed(ABC):
    """One track on its way into one channel; it ends when stopped, or when the track does."""

    kind: TrackKind

    def __init__(
        self, track: rtc.RemoteTrack, sink: RoomSink, participant: str, muted: bool
    ) -> None:
        self.track = track
        self._sink = sink
        self._participant = participant
        self._muted = muted
        self._delivering = False
        self._stopped = False
        self.task: RootTask | None = None

    async def run(self) -> None:
        """Deliver frames until stopped."""
        try:
            await self._pump()
        except ClosedError:
            pass  # the session closed its channel first
        except Exception as error:  # noqa: BLE001 - the track's fault must not end the room
            report(f"reading the agent's {self.kind}", error)
        finally:
            self._pause()

    def set_muted(self, muted: bool) -> None:
        """Follow the track being muted or unmuted by its sender."""
        self._muted = muted
        if muted:
            self._pause()

    def stop(self) -> None:
        """Deliver nothing from now on; the SDK's stream is closed in the background."""
        self._stopped = True
        self._pause()
        if self.task is not None:
            self.task.cancel()

    @abstractmethod
    async def _pump(self) -> None: ...

    @abstractmethod
    def _set_available(self, available: bool) -> None: ...

    @property
    def _blocked(self) -> bool:
        return self._stopped or self._muted

    def _began(self) -> bool:
        """Note that a frame came; whether it is the first since a pause."""
        first = not self._delivering
        if first:
            self._delivering = True
            self._set_available(True)
        return first

    def _announce(self, available: bool) -> None:
        self._sink.track(
            self.kind, available=available, sid=self.track.sid, participant=self._participant
        )

    def _pause(self) -> None:
        if self._delivering:
            self._delivering = False
            self._set_available(False)
            self._announce(False)


@final
class _VideoFeed(_Feed):
    kind = "video"

    def __init__(
        self,
        track: rtc.RemoteTrack,
        sink: RoomSink,
        participant: str,
        muted: bool,
        writer: VideoWriter,
    ) -> None:
        super().__init__(track, sink, participant, muted)
        self._writer = writer

    async def _pump(self) -> None:
        # Decoders hand out I420, so asking for it converts nothing.
        stream = rtc.VideoStream.from_track(
            track=self.track, format=rtc.VideoBufferType.I420, capacity=VIDEO_CAPACITY
        )
        try:
            async for event in stream:
                received_ns = time.monotonic_ns()
                if self._blocked:
                    continue
                frame = event.frame
                picture = VideoFrame(
                    frame.data,
                    frame.width,
                    frame.height,
                    rotation=_degrees(event),
                    received_ns=received_ns,
                    presentation_us=event.timestamp_us,
                    metadata=_metadata(event.metadata),
                )
                first = self._began()
                self._writer.push(picture)
                if first:
                    self._announce(True)
        finally:
            await _close(stream)

    def _set_available(self, available: bool) -> None:
        self._writer.set_available(available)


@final
class _AudioFeed(_Feed):
    kind = "audio"

    def __init__(
        self, track: rtc.RemoteTrack, sink: RoomSink, participant: str, writer: AudioWriter
    ) -> None:
        # A muted voice stays available: it delivers silence.
        super().__init__(track, sink, participant, muted=False)
        self._writer = writer

    def set_muted(self, muted: bool) -> None:
        """Nothing changes: a muted voice is silence."""

    async def _pump(self) -> None:
        stream = rtc.AudioStream.from_track(
            track=self.track,
            sample_rate=SAMPLE_RATE,
            num_channels=CHANNELS,
            capacity=AUDIO_CAPACITY,
        )
        try:
            async for event in stream:
                received_ns = time.monotonic_ns()
                if self._blocked:
                    continue
                frame = event.frame
                sound = AudioFrame(
                    frame.data,
                    frame.sample_rate,
                    frame.num_channels,
                    frame.samples_per_channel,
                    received_ns=received_ns,
                )
                first = self._began()
                self._writer.push(sound)
                if first:
                    self._announce(True)
        finally:
            await _close(stream)

    def _set_available(self, available: bool) -> None:
        self._writer.set_available(available)


def _degrees(event: rtc.VideoFrameEvent) -> int:
    # The SDK annotates the enum's class where its members, quarter turns, are meant.
    return 90 * cast(int, event.rotation)


def _metadata(metadata: rtc.FrameMetadata | None) -> FrameMetadata | None:
    if metadata is None:
        return None
    return FrameMetadata(
        capture_us=metadata.user_timestamp if metadata.HasField("user_timestamp") else None,
        frame_id=metadata.frame_id if metadata.HasField("frame_id") else None,
        user_data=metadata.user_data if metadata.HasField("user_data") else None,
    )


async def _close(stream: _Closable) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await stream.aclose()
    except TimeoutError:
        return  # its task was cancelled with the wait, and its queue goes with the object


@final
class AgentMedia:
    """Chooses the tracks that are the agent's face and voice, and keeps a feed on each.

    An avatar worker's track comes before the agent's own. When the track chosen vanishes, the
    channel stays and waits for the next one.
    """

    def __init__(
        self,
        room: rtc.Room,
        sink: RoomSink,
        writers: MediaWriters,
        agent: AgentWatch,
        tasks: TaskOwner,
    ) -> None:
        self._room = room
        self._sink = sink
        self._writers = writers
        self._agent = agent
        self._tasks = tasks
        self._feeds: dict[TrackKind, _Feed] = {}
        self._closed = False

    def look(self) -> None:
        """Compare the tracks there are with those that are fed, and change what differs."""
        if not self._closed:
            self._follow("audio")
            self._follow("video")

    def set_muted(self, publication: rtc.TrackPublication, muted: bool) -> None:
        """A track was muted or unmuted by its sender."""
        for feed in self._feeds.values():
            if feed.track.sid == publication.sid:
                feed.set_muted(muted)

    def close(self) -> None:
        """Stop every feed."""
        self._closed = True
        for feed in self._feeds.values():
            feed.stop()
        self._feeds.clear()

    def _follow(self, kind: TrackKind) -> None:
        chosen = self._choose(kind)
        track = chosen[1].track if chosen else None
        feed = self._feeds.get(kind)
        if feed is not None and feed.track is not track:
            del self._feeds[kind]
            feed.stop()
            feed = None
        if feed is None and chosen is not None and track is not None:
            self._feed(kind, chosen[0], chosen[1], track)

    def _feed(
        self,
        kind: TrackKind,
        owner: rtc.RemoteParticipant,
        publication: rtc.RemoteTrackPublication,
        track: rtc.RemoteTrack,
    ) -> None:
        # Where a track nobody watches could be paused: the writers know their demand.
        feed: _Feed
        if kind == "video":
            muted = publication.muted
            feed = _VideoFeed(track, self._sink, owner.identity, muted, self._writers.video)
        else:
            feed = _AudioFeed(track, self._sink, owner.identity, self._writers.audio)
        self._feeds[kind] = feed
        feed.task = self._tasks.start(feed.run, f"the agent's {kind}")

    def _choose(
        self, kind: TrackKind
    ) -> tuple[rtc.RemoteParticipant, rtc.RemoteTrackPublication] | None:
        wanted = rtc.TrackKind.KIND_VIDEO if kind == "video" else rtc.TrackKind.KIND_AUDIO
        ranked = _SOURCES[kind]
        for participant in self._speakers():
            tracks = [
                publication
                for publication in participant.track_publications.values()
                if publication.kind == wanted
                and publication.track is not None
                and publication.source in ranked
            ]
            if tracks:
                return participant, min(tracks, key=lambda one: ranked.index(one.source))
        return None

    def _speakers(self) -> list[rtc.RemoteParticipant]:
        """The agent's avatar workers, then the agent."""
        identity = self._agent.identity
        if identity is None:
            return []
        everyone = self._room.remote_participants
        speakers = [
            one for one in everyone.values() if one.attributes.get(ON_BEHALF_ATTRIBUTE) == identity
        ]
        agent = everyone.get(identity)
        return [*speakers, agent] if agent is not None else speakers
