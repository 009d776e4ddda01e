"""One run of one encoder: the newest frame of the channel, encoded in a worker thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import final

import av

from livelayer_bus.clock import Clock, now_ns
from livelayer_bus.errors import ClosedError
from livelayer_bus.media import TimingWindow, VideoChannel, VideoFrame

from .packets import Packet
from .quality import CodecName, Quality
from .video_codecs import Scaler, VideoEncoder

NS_PER_SECOND = 1_000_000_000
VIDEO_RATE = 90_000  # ticks a second
FPS_SLACK = 1.1  # a source at the quality's frame rate jitters around it
RATE_NS = 2 * NS_PER_SECOND  # over which the rate is averaged
RETRY_SECONDS = 1.0  # after an encoder refused a frame


@final
class Counters:
    """Counts of one encoding over all its runs; written in the event loop."""

    def __init__(self) -> None:
        self.frames = self.key_frames = self.left_out = self.failures = self.bytes = 0
        self.encode = TimingWindow()
        self.latency = TimingWindow()
        self._sizes: deque[tuple[int, int]] = deque()  # time and bits, of the last seconds
        self.last_pts = -1  # over all runs: a viewer that stays has one stream

    def sent(self, size: int, key_frame: bool) -> None:
        """Count a packet of `size` bytes."""
        self.frames += 1
        self.bytes += size
        if key_frame:
            self.key_frames += 1
        else:  # a key frame's burst says nothing about the rate
            self._sizes.append((now_ns(), 8 * size))
            self._forget()

    def rate(self) -> int:
        """bit/s over the last two seconds, without key frames."""
        self._forget()
        return sum(bits for _, bits in self._sizes) * NS_PER_SECOND // RATE_NS

    def _forget(self) -> None:
        since_ns = now_ns() - RATE_NS
        while self._sizes and self._sizes[0][0] < since_ns:
            self._sizes.popleft()


@final
class EncodeRun:
    """Reads the channel, encodes the newest frame and publishes it, while there are viewers.

    A frame that a newer one replaces is left out and counted. While the channel has no track,
    nothing is encoded; what follows starts with a key frame.
    """

    def __init__(
        self,
        channel: VideoChannel,
        codec: CodecName,
        quality: Quality,
        *,
        origin_ns: int,
        bitrate: Callable[[], int],
        publish: Callable[[Packet, bool], None],
        counters: Counters,
        clock: Clock,
    ) -> None:
        """A run that has not started.

        Args:
            channel: where the frames come from; read from the start of `run` to its end.
            codec: the codec.
            quality: size and frame rate.
            origin_ns: the time of timestamp 0, on `livelayer_bus.clock.now_ns`.
            bitrate: called before each frame, in bit/s.
            publish: called with each packet, and whether it is a key frame, in the event loop.
            counters: where to count.
            clock: what the interval of key frames is measured on.
        """
        self._channel = channel
        self._quality = quality
        self._origin_ns = origin_ns
        self._bitrate = bitrate
        self._publish = publish
        self._counters = counters
        self._clock = clock
        self._scaler = Scaler(quality.height)
        self._encoder = VideoEncoder(codec, quality)
        self._wake = asyncio.Event()
        self._newest: VideoFrame | None = None
        self._encoded: VideoFrame | None = None  # the newest, once it is encoded
        self._since_ns = now_ns()
        self.key_frames = KeyFrameRequests(clock, self._wake.set)

    async def run(self, executor: Executor) -> None:
        """Encode until cancelled, or until the channel ends.

        Args:
            executor: whose threads encode.
        """
        async with asyncio.TaskGroup() as group:
            helpers = (
                group.create_task(self.key_frames.run()),
                group.create_task(self._watch_track()),
                group.create_task(self._produce(executor)),
            )
            with self._channel.subscribe(max_fps=self._quality.fps * FPS_SLACK) as frames:
                async for frame in frames:
                    if self._newest is not self._encoded:
                        self._counters.left_out += 1
                    self._newest = frame
                    self._wake.set()
            for helper in helpers:
                helper.cancel()

    async def _watch_track(self) -> None:
        with suppress(ClosedError):
            while True:
                await self._channel.wait_available(False)
                self._newest = self._encoded = None  # a frame of the old track is not shown
                await self._channel.wait_available()
                self.key_frames.require()

    async def _produce(self, executor: Executor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            frame = self._newest
            repeated = frame is self._encoded
            if frame is None or (repeated and not self.key_frames.due):
                continue
            self._encoded = frame
            pts = self._next_pts(frame, repeated)
            key_frame = self.key_frames.due
            bitrate = self._bitrate()
            try:
                packets, took_ns = await loop.run_in_executor(
                    executor, self._encode, frame, pts, bitrate, key_frame
                )
            except (av.FFmpegError, ValueError):
                self._counters.failures += 1
                self.key_frames.require()
                await self._clock.sleep(RETRY_SECONDS)
                continue
            self._counters.encode.add(took_ns)
            for packet in packets:
                self._offer(packet)
            if not repeated and frame.received_ns >= self._since_ns:
                self._counters.latency.add(now_ns() - frame.received_ns)

    def _encode(
        self, frame: VideoFrame, pts: int, bitrate: int, key_frame: bool
    ) -> tuple[list[Packet], int]:
        # In a worker thread. The run awaits each call, so there is one at a time.
        started_ns = now_ns()
        picture = self._scaler.scale(frame)
        packets = self._encoder.encode(picture, pts, bitrate=bitrate, key_frame=key_frame)
        return packets, now_ns() - started_ns

    def _next_pts(self, frame: VideoFrame, repeated: bool) -> int:
        # A frame from before the run, or a repeated one, is shown now.
        old = repeated or frame.received_ns < self._since_ns
        at_ns = now_ns() if old else frame.received_ns
        pts = (at_ns - self._origin_ns) * VIDEO_RATE // NS_PER_SECOND
        self._counters.last_pts = max(pts, self._counters.last_pts + 1)
        return self._counters.last_pts

    def _offer(self, packet: Packet) -> None:
        key_frame = packet.is_keyframe
        self._counters.sent(packet.size, key_frame)
        if key_frame:
            self.key_frames.made()
        self._publish(packet, key_frame)


KEY_FRAME_INTERVAL = 0.5  # seconds, at least, between two on request


@final
class KeyFrameRequests:
    """Any number of requests make one key frame, at most one in `KEY_FRAME_INTERVAL` seconds.

    A request within the interval is kept and due at its end. Any key frame fulfils the requests
    before it.
    """

    def __init__(self, clock: Clock, on_due: Callable[[], None]) -> None:
        """Requests of one encoder.

        Args:
            clock: what the interval is measured on.
            on_due: called in the event loop when a request becomes due.
        """
        self._clock = clock
        self._on_due = on_due
        self._wanted = False
        self._not_before = clock.now()
        self._asked = asyncio.Event()

    def request(self) -> None:
        """Request one. A second call before it was encoded does nothing."""
        if self._wanted:
            return
        self._wanted = True
        if self.due:
            self._on_due()
        else:
            self._asked.set()

    def require(self) -> None:
        """Request one at once, whenever the last one was: other frames cannot be decoded."""
        self._not_before = self._clock.now()
        self._wanted = True
        self._on_due()

    @property
    def due(self) -> bool:
        """Whether the next frame has to be a key frame."""
        return self._wanted and self._clock.now() >= self._not_before

    def made(self) -> None:
        """A key frame was encoded."""
        self._wanted = False
        self._not_before = self._clock.now() + KEY_FRAME_INTERVAL

    async def run(self) -> None:
        """Call `on_due` when a request that had to wait becomes due, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._clock.sleep(self._not_before - self._clock.now())
            if self.due:
                self._on_due()
