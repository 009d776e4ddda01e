"""One track on its way into one channel: one SDK stream, every frame copied once.

The SDK itself copies a frame out of native memory into a `bytearray` and frees the native one;
that `bytearray` is adopted by the frame every surface shares.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from typing import Final, Protocol, cast, final

from livekit import rtc

from livelayer_bus._tasks import RootTask
from livelayer_bus.contract import RoomSink, TrackKind
from livelayer_bus.errors import ClosedError
from livelayer_bus.media import AudioFrame, AudioWriter, FrameMetadata, VideoFrame, VideoWriter
from livelayer_bus.rooms.background import run_to_end
from livelayer_bus.rooms.listeners import report

SAMPLE_RATE: Final = 48_000  # Hz; what WebRTC decodes to, so nothing is resampled
CHANNELS: Final = 1
VIDEO_CAPACITY: Final = 2  # frames the SDK's stream may hold for us; it drops the oldest
AUDIO_CAPACITY: Final = 50  # frames of 10 ms, likewise
CLOSE_SECONDS: Final = 1.0  # for the SDK to confirm that a stream has ended


class _Closable(Protocol):
    async def aclose(self) -> None: ...


class Feed(ABC):
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
        self._closing: RootTask | None = None

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

    @property
    def ended(self) -> bool:
        """Whether the SDK has ended the stream."""
        return all(task is None or task.ended for task in (self.task, self._closing))

    async def settled(self) -> None:
        """Wait until the SDK has ended the stream; bounded in time."""
        if self.task is not None:
            await self.task.wait(CLOSE_SECONDS)
        if self._closing is not None:
            await self._closing.wait(CLOSE_SECONDS)

    def _close(self, stream: _Closable) -> None:
        async def close() -> None:
            async with asyncio.timeout(CLOSE_SECONDS):
                await stream.aclose()

        self._closing = run_to_end(close, f"closing the agent's {self.kind}")

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
class VideoFeed(Feed):
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
            self._close(stream)

    def _set_available(self, available: bool) -> None:
        self._writer.set_available(available)


@final
class AudioFeed(Feed):
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
            self._close(stream)

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
