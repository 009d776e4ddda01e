"""The session's sound for any number of viewers: encoded once, while somebody listens."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import final
from weakref import WeakSet

import av

from livelayer_bus.clock import Clock, SystemClock
from livelayer_bus.errors import MisuseError
from livelayer_bus.media import AudioChannel, AudioFrame, TimingWindow

from .on_demand_source import FollowedSource, Workshop
from .opus import PACKET_SAMPLES, RATE, OpusEncoder
from .packets import SOUND_CAPACITY, Packet, PacketReader
from .statistics import SoundStatistics

NS_PER_SECOND = 1_000_000_000
GAP_NS = 100_000_000  # without sound, from which on the clock goes on by itself
RETRY_SECONDS = 1.0  # after the encoder refused a stretch


@final
class Sound(FollowedSource):
    """Opus at 48 kHz in packets of 20 ms, in order; each can be decoded without those before.

    Its clock is the sound's own: samples are counted, so a packet that comes late is late and not
    shifted. Where sound is missing (the track was renewed, paused or muted) the clock goes on by
    as much. Nothing is encoded while nobody follows.
    """

    def __init__(self, channel: AudioChannel, *, clock: Clock | None = None) -> None:
        """The sound of a channel that may have no track yet.

        Args:
            channel: whose sound.
            clock: what a retry is timed by; the system's, if None.
        """
        super().__init__("livelayer-web sound")
        self._channel = channel
        self._clock: Clock = SystemClock() if clock is None else clock
        self._origin_ns = time.monotonic_ns()
        self._least_pts = 0  # of the next run: a listener who stays hears one stream
        self._readers_made: WeakSet[PacketReader] = WeakSet()
        self._ended = False
        self._packets = self._bytes = self._gaps = self._failures = 0
        self._encode_time = TimingWindow()
        self._latency = TimingWindow()

    def reader(self) -> PacketReader:
        """A listener's inbox, which follows nothing yet; closed with `run`, at the latest."""
        reader = PacketReader(SOUND_CAPACITY)
        if self._ended:
            reader.close()
        self._readers_made.add(reader)
        return reader

    async def run(self) -> None:
        """Own the encoder until cancelled; then stop it and close every reader.

        Raises:
            MisuseError: called a second time.
        """
        if self._ended or self._workshop is not None:
            raise MisuseError("this sound was run already: make another object")
        # A thread of its own: pictures take longer, and sound must not wait for them.
        threads = ThreadPoolExecutor(1, thread_name_prefix="livelayer-web-sound")
        try:
            async with asyncio.TaskGroup() as group:
                self.work_in(Workshop(group, threads))
                await asyncio.get_running_loop().create_future()
        finally:
            self._ended = True
            self.work_in(None)
            for reader in tuple(self._readers_made):
                reader.close()
            threads.shutdown(wait=False, cancel_futures=True)

    async def work(self, threads: Executor) -> None:
        """Encode while it is followed; called by `FollowedSource`."""
        loop = asyncio.get_running_loop()
        encoder = OpusEncoder()
        ends_ns: int | None = None  # when the sound so far ends, by its arrival
        with self._channel.subscribe() as frames:
            async for frame in frames:
                if ends_ns is None or frame.received_ns - ends_ns > GAP_NS:
                    self._gaps += ends_ns is not None
                    encoder.restart(max(self._position(frame.received_ns), self._least_pts))
                ends_ns = frame.received_ns + frame.duration_ns
                try:
                    packets, took_ns = await loop.run_in_executor(threads, _encode, encoder, frame)
                except (av.FFmpegError, ValueError):
                    self._failures += 1
                    ends_ns = None
                    await self._clock.sleep(RETRY_SECONDS)
                    continue
                self._encode_time.add(took_ns)
                for packet in packets:
                    self._offer(packet, frame)

    def _position(self, at_ns: int) -> int:
        return (at_ns - self._origin_ns) * RATE // NS_PER_SECOND

    def _offer(self, packet: Packet, newest: AudioFrame) -> None:
        self._packets += 1
        self._bytes += packet.size
        self._least_pts = (packet.pts or 0) + PACKET_SAMPLES
        self._latency.add(time.monotonic_ns() - newest.received_ns)
        self.publish(packet, True)

    def statistics(self) -> SoundStatistics:
        """Count what was encoded so far."""
        return SoundStatistics(
            viewers=self.viewers,
            running=self.running,
            packets=self._packets,
            bytes=self._bytes,
            gaps=self._gaps,
            failures=self._failures,
            encode=self._encode_time.read(),
            latency=self._latency.read(),
        )


def _encode(encoder: OpusEncoder, frame: AudioFrame) -> tuple[list[Packet], int]:
    started_ns = time.monotonic_ns()
    packets = encoder.encode(frame)
    return packets, time.monotonic_ns() - started_ns
