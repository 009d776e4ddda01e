"""The agent's audio for any number of viewers: encoded once, while a viewer wants it."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from fractions import Fraction
from typing import final

import av
from av.audio.codeccontext import AudioCodecContext

from livelayer_bus.clock import Clock, SystemClock, now_ns
from livelayer_bus.media import AudioChannel, AudioFrame, TimingWindow

from .on_demand_source import OnDemandSource, Workers
from .packets import AUDIO_CAPACITY, Packet, PacketReader
from .statistics import AudioStatistics

NS_PER_SECOND = 1_000_000_000
GAP_NS = 100_000_000  # without audio, after which the timestamps skip the gap
RETRY_SECONDS = 1.0  # after the encoder refused a frame


@final
class AudioEncoding(OnDemandSource):
    """Opus at 48 kHz in packets of 20 ms, in order. Each can be decoded without those before.

    Timestamps count samples, so that a late packet is late and not shifted. Where audio is missing
    (the track was renewed, paused or muted), the timestamps skip the gap. Nothing is encoded while
    no reader follows.
    """

    def __init__(self, channel: AudioChannel, *, clock: Clock | None = None) -> None:
        """The encoding of a channel, which may have no track yet.

        Args:
            channel: where the frames come from.
            clock: what a retry is timed by; None: the system's.
        """
        super().__init__("livelayer-web audio")
        self._channel = channel
        self._clock: Clock = SystemClock() if clock is None else clock
        self._origin_ns = now_ns()
        self._least_pts = 0  # of the next run: a viewer that stays has one stream
        self._packets = self._bytes = self._gaps = self._failures = 0
        self._encode_time = TimingWindow()
        self._latency = TimingWindow()
        # A thread of its own: video frames take longer, and audio must not wait for them.
        self._own_workers = Workers("audio", 1)
        self._own_workers.add(self)

    def reader(self) -> PacketReader:
        """See `Workers.reader`."""
        return self._own_workers.reader(AUDIO_CAPACITY)

    async def run(self) -> None:
        """See `Workers.run`."""
        await self._own_workers.run()

    async def work(self, threads: Executor) -> None:
        """Encode while it is followed; called by `Workers`."""
        loop = asyncio.get_running_loop()
        encoder = OpusEncoder()
        ends_ns: int | None = None  # end of the audio so far, by its arrival
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
        self._latency.add(now_ns() - newest.received_ns)
        self.publish(packet, True)

    def statistics(self) -> AudioStatistics:
        """What was encoded so far."""
        return AudioStatistics(
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
    started_ns = now_ns()
    packets = encoder.encode(frame)
    return packets, now_ns() - started_ns


RATE = 48_000  # samples a second; RTP's clock for audio
TIME_BASE = Fraction(1, RATE)
PACKET_SAMPLES = 960  # 20 ms
BITRATES = {1: 40_000, 2: 80_000}  # bit/s, by channels
LAYOUTS = {1: "mono", 2: "stereo"}


@final
class OpusEncoder:
    """Encodes audio in order; used by one thread at a time.

    A packet's timestamp counts samples from `restart`. Another rate or number of channels continues
    the same stream; of more than two channels, the first two are sent.
    """

    def __init__(self) -> None:
        self._context: AudioCodecContext | None = None
        self._resampler: av.AudioResampler | None = None
        self._source: tuple[int, int] = (0, 0)  # rate and channels
        self._pts = 0

    def restart(self, pts: int) -> None:
        """Continue at the timestamp `pts`. An unfinished packet (under 20 ms) is dropped."""
        self._resampler = None
        self._pts = pts

    def encode(self, frame: AudioFrame) -> list[Packet]:
        """The packets that are complete now: none, one or several.

        Raises:
            av.FFmpegError: the codec refused the frame; the next call reopens it.
        """
        channels = min(frame.num_channels, 2)
        source = (frame.sample_rate, channels)
        if self._resampler is None or source != self._source:
            self._resampler = av.AudioResampler(
                format="s16", layout=LAYOUTS[channels], rate=RATE, frame_size=PACKET_SAMPLES
            )
            if self._context is None or channels != self._source[1]:
                self._context = _open(channels)
            self._source = source
        if self._context is None:
            self._context = _open(channels)
        samples = frame.to_ndarray()[:, :channels].reshape(1, -1)
        audio = av.AudioFrame.from_ndarray(samples, format="s16", layout=LAYOUTS[channels])
        audio.sample_rate = frame.sample_rate
        packets: list[Packet] = []
        try:
            for stretch in self._resampler.resample(audio):
                stretch.pts, stretch.time_base = self._pts, TIME_BASE
                for packet in self._context.encode(stretch):
                    # The codec would start below zero, by its look-ahead.
                    packet.pts = packet.dts = self._pts
                    packet.time_base = TIME_BASE
                    packets.append(packet)
                self._pts += PACKET_SAMPLES
        except Exception:
            self._context = self._resampler = None
            raise
        return packets


def _open(channels: int) -> AudioCodecContext:
    context = av.CodecContext.create("libopus", "w")
    context.format = "s16"
    context.layout = LAYOUTS[channels]
    context.sample_rate = RATE
    context.time_base = TIME_BASE
    context.bit_rate = BITRATES[channels]
    # Packet loss of a few per cent is repaired from the next packet: a retransmission is too late.
    context.options = {
        "application": "voip",
        "frame_duration": "20",
        "fec": "1",
        "packet_loss": "5",
    }
    context.open()
    return context
