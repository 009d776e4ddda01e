"""One track on its way into one channel: one SDK stream, every frame copied once.

The SDK itself copies a frame out of native memory into a `bytearray` and frees the native one;
that `bytearray` is adopted by the frame every surface shares.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast, final

import msgspec
from livekit import rtc

from ..clock import Clock, now_ns
from ..errors import ClosedError
from ..media import AudioFrame, FrameMetadata, VideoFrame
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

F = TypeVar("F", VideoFrame, AudioFrame)


class Pausing(msgspec.Struct, frozen=True):
    """What happens to a track that has no reader."""

    after: float | None
    """Seconds until its stream is closed; None: it stays open."""
    clock: Clock
    at_server: bool
    """Whether the server is told, so that it does not send the video."""


class TrackRef(msgspec.Struct, frozen=True):
    """The track that is read, and where its state is reported."""

    track: rtc.RemoteTrack
    publication: rtc.RemoteTrackPublication
    participant: str
    sink: RoomSink


@final
class Demand:
    """Follows one channel's readers, and the calls that look at its newest frame now and then."""

    def __init__(
        self,
        target: FrameTarget[Any],
        tasks: TaskOwner,
        clock: Clock,
        pause_after: float | None,
        on_change: Callable[[], None],
    ) -> None:
        """Call `on_change` when `wanted` changes, until `close()`.

        Args:
            target: the channel's writer.
            pause_after: seconds without demand after which frames are not wanted; None: never.
        """
        self.wanted = True
        self._pause_after = pause_after
        self._on_change = on_change
        self._peeked = False
        self._timer = Timer(self._expire, "unwanted frames", tasks, clock)
        self._demand = 0
        self._forget = target.follow_demand(self._follow, self._peek)

    def close(self) -> None:
        """Follow nothing any more."""
        self._forget()
        self._timer.stop()

    def _follow(self, demand: int) -> None:
        self._demand = demand
        if demand:
            self._timer.stop()
            self._want()
        elif self.wanted and not self._timer.running and self._pause_after is not None:
            self._peeked = False
            self._timer.start(self._pause_after)

    def _peek(self) -> None:
        self._peeked = True
        self._want()
        self._follow(self._demand)

    def _want(self) -> None:
        if not self.wanted:
            self.wanted = True
            self._on_change()

    def _expire(self) -> None:
        if self._peeked and self._pause_after is not None:
            self._peeked = False
            self._timer.start(self._pause_after)
        else:
            self.wanted = False
            self._on_change()


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
        self._demand: Demand | None = None
        self._pump_task: RootTask | None = None
        self._work: list[RootTask] = []

    def start(self) -> None:
        """Deliver frames until stopped, while they are wanted; the first one in any case."""
        self._wake()
        pausing = self._pausing
        self._demand = Demand(self._target, self._tasks, pausing.clock, pausing.after, self._review)

    def set_muted(self, muted: bool) -> None:
        """Follow the track being muted or unmuted by its sender."""
        self._muted = muted
        if muted:
            self._pause()
        self._review()

    def stop(self) -> None:
        """Deliver nothing from now on; the SDK's stream is closed in the background."""
        self._ended = True
        if self._demand is not None:
            self._demand.close()
        self._pause()
        if self._resting:
            self._set_sent(True)
        if self._pump_task is not None:
            self._pump_task.cancel()

    @property
    def ended(self) -> bool:
        """Whether the SDK has ended every stream."""
        return all(task.ended for task in self._work)

    async def settled(self) -> None:
        """Wait until the SDK has ended every stream; bounded in time."""
        if self._pump_task is not None:
            await self._pump_task.wait(CLOSE_SECONDS)
        for task in tuple(self._work):
            await task.wait(CLOSE_SECONDS)

    # What video and sound do differently -----------------------------------------------------

    @abstractmethod
    async def _pump(self) -> None: ...

    @abstractmethod
    def _set_sent(self, sent: bool) -> None:
        """Have the server send the track, or not."""

    # Resting ---------------------------------------------------------------------------------

    def _review(self) -> None:
        # Even without a reader the first frame is needed: it shows that the track delivers.
        wanted = self._demand is None or self._demand.wanted
        needed = wanted or not (self._delivering or self._muted)
        if self._ended or needed is not self._resting:
            return
        if needed:
            self._set_sent(True)
            self._wake()
        else:
            self._rest()

    def _wake(self) -> None:
        self._resting = False
        self._pump_task = self._keep(self._tasks.start(self._run, f"the agent's {self.kind}"))

    def _rest(self) -> None:
        self._resting = True
        if self._pump_task is not None:
            self._pump_task.cancel()
        self._set_sent(False)
        # The kept frame would pass for the current one when the next reader comes.
        self._target.discard()

    def _keep(self, task: RootTask) -> RootTask:
        self._work = [one for one in self._work if not one.ended]
        self._work.append(task)
        return task

    # Delivering ------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._pump()
        except ClosedError:
            pass  # the session closed its channel first
        except Exception as error:  # noqa: BLE001 - the track's fault must not end the room
            report(f"reading the agent's {self.kind}", error)
        self._ended = True
        self._pause()

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

    @property
    def _blocked(self) -> bool:
        return self._ended or self._muted or self._resting

    def _announce(self, available: bool) -> None:
        self._delivering = available
        participant = self._ref.participant
        event = TrackReported(self.kind, available, self.track.sid, participant)
        self._ref.sink.report(event)

    def _pause(self) -> None:
        if self._delivering:
            self._announce(False)


@final
class VideoTrackReader(TrackReader[VideoFrame]):
    """The agent's picture; the server does not send it while no reader wants it."""

    kind = "video"

    def _set_sent(self, sent: bool) -> None:
        if self._pausing.at_server:
            set_enabled(self._ref.publication, sent)

    async def _pump(self) -> None:
        # Decoders hand out I420, so asking for it converts nothing.
        stream = rtc.VideoStream.from_track(
            track=self.track, format=rtc.VideoBufferType.I420, capacity=VIDEO_CAPACITY
        )
        count_drops(stream, self._target.count_dropped)
        try:
            async for event in stream:
                received_ns = now_ns()
                if self._blocked:
                    continue
                frame = event.frame
                self._deliver(
                    VideoFrame(
                        frame.data,
                        frame.width,
                        frame.height,
                        # The SDK annotates the enum's class; a member counts quarter turns.
                        rotation=90 * cast(int, event.rotation),
                        received_ns=received_ns,
                        presentation_us=event.timestamp_us,
                        metadata=_metadata(event.metadata),
                    )
                )
        finally:
            self._close(stream)


@final
class AudioTrackReader(TrackReader[AudioFrame]):
    """The agent's voice; it stays subscribed, so that no first word is lost to a pause."""

    kind = "audio"

    def _set_sent(self, sent: bool) -> None:
        """Nothing changes: to be sent again would take longer than a word's beginning."""

    def set_muted(self, muted: bool) -> None:
        """Nothing changes: a muted voice is silence."""

    async def _pump(self) -> None:
        stream = rtc.AudioStream.from_track(
            track=self.track,
            sample_rate=SAMPLE_RATE,
            num_channels=CHANNELS,
            capacity=AUDIO_CAPACITY,
        )
        count_drops(stream, self._target.count_dropped)
        try:
            async for event in stream:
                received_ns = now_ns()
                if self._blocked:
                    continue
                frame = event.frame
                self._deliver(
                    AudioFrame(
                        frame.data,
                        frame.sample_rate,
                        frame.num_channels,
                        frame.samples_per_channel,
                        received_ns=received_ns,
                    )
                )
        finally:
            self._close(stream)


def _metadata(metadata: rtc.FrameMetadata | None) -> FrameMetadata | None:
    if metadata is None:
        return None
    return FrameMetadata(
        capture_us=metadata.user_timestamp if metadata.HasField("user_timestamp") else None,
        frame_id=metadata.frame_id if metadata.HasField("frame_id") else None,
        user_data=metadata.user_data if metadata.HasField("user_data") else None,
    )
