"""One track on its way into one channel: one SDK stream, every frame copied once.

The SDK itself copies a frame out of native memory into a `bytearray` and frees the native one;
that `bytearray` is adopted by the frame every surface shares.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, Generic

import msgspec
from livekit import rtc

from ..clock import Clock, now_ns
from ..errors import ClosedError
from ..media import AudioFrame, FrameMetadata, VideoFrame
from ..media.publishing import F
from ..tasks import RootTask, TaskOwner, Timer
from .errors import report
from .port import FrameTarget, RoomSink, TrackKind, TrackReported
from .sdk_private import count_drops, run_to_end, set_enabled

SAMPLE_RATE: Final = 48_000  # Hz; what WebRTC decodes to, so nothing is resampled
CHANNELS: Final = 1
VIDEO_CAPACITY: Final = 2  # frames the SDK's stream may hold for us; it drops the oldest
AUDIO_CAPACITY: Final = 50  # frames of 10 ms, likewise
PAUSE_AFTER: Final = 2.0  # seconds without a reader; surfaces that change places take less
CLOSE_SECONDS: Final = 1.0  # for the SDK to confirm that a stream has ended


class Pausing(msgspec.Struct, frozen=True):
    """What happens to a track that has no reader."""

    after: float | None  # seconds until its stream is closed; None: it stays open
    clock: Clock
    at_server: bool  # whether the server is told, so that it does not send the video


class TrackRef(msgspec.Struct, frozen=True):
    """The track that is read, and where its state is reported."""

    track: rtc.RemoteTrack
    publication: rtc.RemoteTrackPublication
    participant: str
    sink: RoomSink


class TrackReader(ABC, Generic[F]):
    """One track on its way into one channel; it ends when stopped, or when the track does.

    It rests while no reader wants frames: the SDK's stream is closed, the channel stays available.
    """

    kind: TrackKind

    def __init__(
        self, ref: TrackRef, target: FrameTarget[F], tasks: TaskOwner, pausing: Pausing
    ) -> None:
        self.track = ref.track
        self._ref = ref
        self._target: FrameTarget[F] = target
        self._tasks = tasks
        self._pausing = pausing
        # A muted voice stays available: it delivers silence.
        self._muted = self.kind == "video" and ref.publication.muted
        self._delivering = False
        self._resting = False
        self._ended = False
        self._demand = 0
        self._wanted = True
        self._peeked = False  # the newest frame was looked at since the timer was started
        self._timer = Timer(self._expire, "unwanted frames", tasks, pausing.clock)
        self._forget: Callable[[], None] = lambda: None
        self._pump_task: RootTask | None = None
        self._work: list[RootTask] = []

    def start(self) -> None:
        """Deliver frames until stopped, while they are wanted; the first one in any case."""
        self._set_sent(True)  # an earlier reader may have ended while the track rested
        self._wake()
        self._forget = self._target.follow_demand(self._follow, self._peek)

    def set_muted(self, muted: bool) -> None:
        """Follow the track being muted or unmuted by its sender; a muted voice is silence."""
        if self.kind == "video":
            self._muted = muted
            if muted:
                self._announce(False)
            self._review()

    def stop(self) -> None:
        """Deliver nothing from now on; the SDK's stream is closed in the background."""
        self._ended = True
        self._forget()
        self._timer.stop()
        self._announce(False)
        if self._pump_task is not None:
            self._pump_task.cancel()

    @property
    def ended(self) -> bool:
        return all(task.ended for task in self._work)

    async def settled(self) -> None:
        if self._pump_task is not None:
            await self._pump_task.wait(CLOSE_SECONDS)
        for task in tuple(self._work):
            await task.wait(CLOSE_SECONDS)

    @abstractmethod
    def _open(self) -> rtc.VideoStream | rtc.AudioStream:
        """The SDK's stream of the track."""

    @abstractmethod
    def _frame(self, event: Any, received_ns: int) -> F:
        """The frame of a stream's event; it adopts the SDK's copy."""

    def _follow(self, demand: int) -> None:
        self._demand = demand
        if demand:
            self._timer.stop()
            self._want()
        elif self._wanted and not self._timer.running:
            self._start_timer()

    def _peek(self) -> None:
        self._peeked = True
        self._want()
        self._follow(self._demand)

    def _want(self) -> None:
        if not self._wanted:
            self._wanted = True
            self._review()

    def _start_timer(self) -> None:
        self._peeked = False
        if self._pausing.after is not None:
            self._timer.start(self._pausing.after)

    def _expire(self) -> None:
        if self._peeked:
            self._start_timer()
        else:
            self._wanted = False
            self._review()

    def _review(self) -> None:
        # Even without a reader the first frame is needed: it shows that the track delivers.
        needed = self._wanted or not (self._delivering or self._muted)
        if self._ended or needed is not self._resting:
            return
        self._set_sent(needed)
        if needed:
            self._wake()
            return
        self._resting = True
        if self._pump_task is not None:
            self._pump_task.cancel()
        # The kept frame would pass for the current one when the next reader comes.
        self._target.discard()

    def _set_sent(self, sent: bool) -> None:
        # A voice stays subscribed: to be sent again would take longer than a word's beginning.
        if self.kind == "video" and self._pausing.at_server:
            set_enabled(self._ref.publication, sent)

    def _wake(self) -> None:
        self._resting = False
        self._pump_task = self._keep(self._tasks.start(self._run, f"the agent's {self.kind}"))

    def _keep(self, task: RootTask) -> RootTask:
        self._work = [one for one in self._work if not one.ended]
        self._work.append(task)
        return task

    async def _run(self) -> None:
        try:
            stream = self._open()
            count_drops(stream, self._target.count_dropped)
            try:
                async for event in stream:
                    received_ns = now_ns()
                    if not (self._ended or self._muted or self._resting):
                        self._deliver(self._frame(event, received_ns))
            finally:
                self._close(stream)
        except ClosedError:
            pass  # the session closed its channel first
        except Exception as error:  # noqa: BLE001 - the track's fault must not end the room
            report(f"reading the agent's {self.kind}", error)
        self._ended = True
        self._announce(False)

    def _close(self, stream: rtc.VideoStream | rtc.AudioStream) -> None:
        async def close() -> None:
            async with asyncio.timeout(CLOSE_SECONDS):
                await stream.aclose()

        self._keep(run_to_end(close, f"closing the agent's {self.kind}"))

    def _deliver(self, frame: F) -> None:
        first = not self._delivering
        if first:
            self._announce(True)
        self._target.push(frame)
        if first:
            self._review()

    def _announce(self, available: bool) -> None:
        if available is not self._delivering:
            self._delivering = available
            event = TrackReported(self.kind, available, self.track.sid, self._ref.participant)
            self._ref.sink.report(event)


class VideoTrackReader(TrackReader[VideoFrame]):
    """The agent's picture; the server does not send it while no reader wants it."""

    kind = "video"

    def _open(self) -> rtc.VideoStream:
        # Decoders hand out I420, so asking for it converts nothing.
        return rtc.VideoStream.from_track(
            track=self.track, format=rtc.VideoBufferType.I420, capacity=VIDEO_CAPACITY
        )

    def _frame(self, event: Any, received_ns: int) -> VideoFrame:
        frame = event.frame
        return VideoFrame(
            frame.data,
            frame.width,
            frame.height,
            rotation=90 * event.rotation,  # a member of the SDK's enum counts quarter turns
            received_ns=received_ns,
            presentation_us=event.timestamp_us,
            metadata=_metadata(event.metadata),
        )


class AudioTrackReader(TrackReader[AudioFrame]):
    """The agent's voice; it stays subscribed, so that no first word is lost to a pause."""

    kind = "audio"

    def _open(self) -> rtc.AudioStream:
        return rtc.AudioStream.from_track(
            track=self.track,
            sample_rate=SAMPLE_RATE,
            num_channels=CHANNELS,
            capacity=AUDIO_CAPACITY,
        )

    def _frame(self, event: Any, received_ns: int) -> AudioFrame:
        frame: rtc.AudioFrame = event.frame
        samples = frame.samples_per_channel
        rate, channels = frame.sample_rate, frame.num_channels
        return AudioFrame(frame.data, rate, channels, samples, received_ns=received_ns)


def _metadata(metadata: rtc.FrameMetadata | None) -> FrameMetadata | None:
    if metadata is None:
        return None
    return FrameMetadata(
        capture_us=metadata.user_timestamp if metadata.HasField("user_timestamp") else None,
        frame_id=metadata.frame_id if metadata.HasField("frame_id") else None,
        user_data=metadata.user_data if metadata.HasField("user_data") else None,
    )
