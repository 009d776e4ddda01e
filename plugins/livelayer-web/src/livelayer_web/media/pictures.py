"""The session's picture for any number of viewers: one encode a quality, while somebody looks."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import final
from weakref import WeakSet

from livelayer_bus.clock import Clock, SystemClock
from livelayer_bus.errors import MisuseError
from livelayer_bus.media import VideoChannel

from .codec_warmup import warm_up
from .encoding import Counters, EncodeRun
from .ladder import SharedBitrate
from .on_demand_source import FollowedSource, Workshop
from .packets import VIDEO_CAPACITY, PacketReader
from .quality import LADDER, CodecName, Quality
from .statistics import PictureStatistics, StreamStatistics

WORKERS = max(2, os.cpu_count() or 1)  # threads; a picture takes milliseconds


@final
class EncodedVideo(FollowedSource):
    """The picture in one quality and codec: encoded once, and only while a reader follows it.

    The first reader gets the current picture at once, as a key frame. Made by `Pictures`.
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
        """Encode while it is followed; called by `FollowedSource`."""
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
        """Ask for a key frame for whoever lost the picture; joining asks by itself.

        Requests of all viewers make one, at most two a second; one that comes too early is kept.
        A picture that stands still is encoded once more.
        """
        if self._run is not None and self.running:
            self._run.key_frames.request()

    @property
    def rate(self) -> int:
        """Bits a second that a viewer is sent, on average over the last two seconds."""
        return self._counters.rate()

    def _bitrate(self) -> int:
        known = [reader.bandwidth for reader in self.readers() if reader.bandwidth is not None]
        return self._share.heed(min(known, default=None), now=self._clock.now())

    def statistics(self) -> StreamStatistics:
        """Count what was encoded so far."""
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
class Pictures:
    """All encodes of one channel's picture; nothing is encoded while nobody follows any.

    Time-stamps of all qualities are on one clock, so a viewer can go from one to another. Worker
    threads scale and encode: the event loop never waits for a codec.
    """

    def __init__(
        self,
        channel: VideoChannel,
        ladder: Sequence[Quality] = LADDER,
        *,
        clock: Clock | None = None,
    ) -> None:
        """Encodes to be, of a channel that may have no track yet.

        Args:
            channel: whose pictures.
            ladder: the qualities there are, best first.
            clock: what key frames and bitrates are timed by; the system's, if None.

        Raises:
            MisuseError: the ladder has no quality.
        """
        if not ladder:
            raise MisuseError("a ladder needs at least one quality")
        self._channel = channel
        self._ladder = tuple(ladder)
        self._clock: Clock = SystemClock() if clock is None else clock
        self._origin_ns = time.monotonic_ns()
        self._streams: dict[tuple[CodecName, Quality], EncodedVideo] = {}
        self._readers: WeakSet[PacketReader] = WeakSet()
        self._workshop: Workshop | None = None
        self._ended = False

    def encoded(self, codec: CodecName, quality: Quality) -> EncodedVideo:
        """The encode of that quality, the same object every time.

        Raises:
            MisuseError: the quality is none of the ladder's.
        """
        if quality not in self._ladder:
            raise MisuseError(f"quality {quality.name!r} is none of this ladder's")
        stream = self._streams.get((codec, quality))
        if stream is None:
            stream = EncodedVideo(
                self._channel, codec, quality, origin_ns=self._origin_ns, clock=self._clock
            )
            stream.work_in(self._workshop)
            self._streams[codec, quality] = stream
        return stream

    def reader(self) -> PacketReader:
        """A viewer's inbox, which follows nothing yet; closed with `run`, at the latest."""
        reader = PacketReader(VIDEO_CAPACITY)
        if self._ended:
            reader.close()
        self._readers.add(reader)
        return reader

    async def run(self) -> None:
        """Own the encoders until cancelled; then stop them and close every reader.

        Raises:
            MisuseError: called a second time.
        """
        if self._ended or self._workshop is not None:
            raise MisuseError("these pictures were run already: make another object")
        threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="livelayer-web-pictures")
        try:
            async with asyncio.TaskGroup() as group:
                self._workshop = Workshop(group, threads)
                for stream in self._streams.values():
                    stream.work_in(self._workshop)
                await asyncio.get_running_loop().run_in_executor(threads, warm_up)
                await asyncio.get_running_loop().create_future()
        finally:
            self._ended = True
            self._workshop = None
            for stream in self._streams.values():
                stream.work_in(None)
            for reader in tuple(self._readers):
                reader.close()
            # What a thread still encodes takes milliseconds, and nobody waits for it.
            threads.shutdown(wait=False, cancel_futures=True)

    def statistics(self) -> PictureStatistics:
        """Count what was encoded so far, in every quality that was ever followed."""
        order = {quality: place for place, quality in enumerate(self._ladder)}
        streams = sorted(self._streams.items(), key=lambda item: (item[0][0], order[item[0][1]]))
        return PictureStatistics(streams=tuple(stream.statistics() for _, stream in streams))
