"""The agent's video for any number of viewers: encoded once for each quality that is followed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import final

from livelayer_bus.clock import Clock, SystemClock, now_ns
from livelayer_bus.errors import MisuseError
from livelayer_bus.media import VideoChannel

from .encoding import Counters, EncodeRun
from .on_demand_source import OnDemandSource, Workers
from .packets import VIDEO_CAPACITY, PacketReader
from .quality import LADDER, CodecName, Quality, SharedBitrate
from .statistics import StreamStatistics, VideoStatistics
from .video_codecs import warm_up

WORKERS = max(2, os.cpu_count() or 1)  # threads; encoding a frame takes milliseconds


@final
class VideoEncoding(OnDemandSource):
    """The video in one quality and codec: encoded once, and only while a reader follows it.

    The first reader gets the current frame at once, as a key frame. Made by `VideoEncodings`.
    """

    def __init__(
        self,
        channel: VideoChannel,
        codec: CodecName,
        quality: Quality,
        *,
        origin_ns: int,
        clock: Clock,
    ) -> None:
        super().__init__(f"livelayer-web {quality.name} {codec}")
        self.codec: CodecName = codec
        self.quality = quality
        self._channel = channel
        self._origin_ns = origin_ns
        self._clock = clock
        self._counters = Counters()
        self._share = SharedBitrate(quality.bitrate)
        self._run: EncodeRun | None = None

    async def work(self, threads: Executor) -> None:
        """Encode while it is followed; called by `Workers`."""
        self._run = run = EncodeRun(
            self._channel,
            self.codec,
            self.quality,
            origin_ns=self._origin_ns,
            bitrate=self._bitrate,
            publish=self.publish,
            counters=self._counters,
            clock=self._clock,
        )
        await run.run(threads)

    def request_key_frame(self) -> None:
        """Ask for a key frame for a viewer that lost one; joining asks by itself.

        The requests of all viewers make one key frame, at most two a second. A request that comes
        too early is kept. If there is no newer frame, the last one is encoded again.
        """
        if self._run is not None and self.running:
            self._run.key_frames.request()

    @property
    def rate(self) -> int:
        """What a viewer is sent, in bit/s: the average of the last two seconds."""
        return self._counters.rate()

    def _bitrate(self) -> int:
        known = [reader.bandwidth for reader in self.readers() if reader.bandwidth is not None]
        return self._share.adapt(min(known, default=None), now=self._clock.now())

    def statistics(self) -> StreamStatistics:
        """What was encoded so far."""
        counters = self._counters
        return StreamStatistics(
            codec=self.codec,
            quality=self.quality,
            viewers=self.viewers,
            running=self.running,
            frames=counters.frames,
            key_frames=counters.key_frames,
            left_out=counters.left_out,
            failures=counters.failures,
            bytes=counters.bytes,
            bitrate=self._share.bitrate,
            encode=counters.encode.read(),
            latency=counters.latency.read(),
        )


@final
class VideoEncodings:
    """All encodings of one channel's video; one that no reader follows is not encoded.

    The timestamps of all qualities are on one clock, so that a viewer can switch between them.
    Worker threads scale and encode: the event loop never waits for a codec.
    """

    def __init__(
        self,
        channel: VideoChannel,
        ladder: Sequence[Quality] = LADDER,
        *,
        clock: Clock | None = None,
    ) -> None:
        """Encodings of a channel, which may have no track yet.

        Args:
            channel: where the frames come from.
            ladder: the qualities, best first.
            clock: what key frames and bitrates are timed by; None: the system's.

        Raises:
            MisuseError: the ladder is empty.
        """
        if not ladder:
            raise MisuseError("a ladder needs at least one quality")
        self._channel = channel
        self._ladder = tuple(ladder)
        self._clock: Clock = SystemClock() if clock is None else clock
        self._origin_ns = now_ns()
        self._streams: dict[tuple[CodecName, Quality], VideoEncoding] = {}
        self._workers = Workers("video", WORKERS)

    def encoding(self, codec: CodecName, quality: Quality) -> VideoEncoding:
        """The encoding in that quality, the same object every time.

        Raises:
            MisuseError: the quality is not in the ladder.
        """
        if quality not in self._ladder:
            raise MisuseError(f"quality {quality.name!r} is not in this ladder")
        stream = self._streams.get((codec, quality))
        if stream is None:
            stream = VideoEncoding(
                self._channel, codec, quality, origin_ns=self._origin_ns, clock=self._clock
            )
            self._streams[codec, quality] = stream
            self._workers.add(stream)
        return stream

    def reader(self) -> PacketReader:
        """See `Workers.reader`."""
        return self._workers.reader(VIDEO_CAPACITY)

    async def run(self) -> None:
        """See `Workers.run`."""
        await self._workers.run(warm_up)

    def statistics(self) -> VideoStatistics:
        """What was encoded so far, in every quality that was ever followed."""
        order = {quality: place for place, quality in enumerate(self._ladder)}
        streams = sorted(self._streams.items(), key=lambda item: (item[0][0], order[item[0][1]]))
        return VideoStatistics(streams=tuple(stream.statistics() for _, stream in streams))
