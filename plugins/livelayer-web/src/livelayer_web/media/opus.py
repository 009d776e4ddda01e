"""Sound in, packets of 20 ms out: libopus through PyAV, at 48 kHz whatever comes in."""

from __future__ import annotations

from fractions import Fraction
from typing import final

import av
from av.audio.codeccontext import AudioCodecContext

from livelayer_bus.media import AudioFrame

from .packets import Packet

RATE = 48_000  # samples a second; RTP's clock for sound
TIME_BASE = Fraction(1, RATE)
PACKET_SAMPLES = 960  # 20 ms
BITRATES = {1: 40_000, 2: 80_000}  # bit/s, by channels
LAYOUTS = {1: "mono", 2: "stereo"}


@final
class OpusEncoder:
    """Encodes sound in order; used by one thread at a time.

    A packet's time-stamp counts samples from `restart`. Another rate or number of channels goes
    on in the same stream; of more than two channels the first two are sent.
    """

    def __init__(self) -> None:
        self._context: AudioCodecContext | None = None
        self._resampler: av.AudioResampler | None = None
        self._source: tuple[int, int] = (0, 0)  # rate and channels
        self._pts = 0

    def restart(self, pts: int) -> None:
        """Let the clock go on at `pts`; what does not fill a packet yet is dropped (< 20 ms)."""
        self._resampler = None
        self._pts = pts

    def encode(self, frame: AudioFrame) -> list[Packet]:
        """Return the packets that are full now: none, one or several.

        Raises:
            av.FFmpegError: the codec refused; the next call opens it anew.
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
        sound = av.AudioFrame.from_ndarray(samples, format="s16", layout=LAYOUTS[channels])
        sound.sample_rate = frame.sample_rate
        packets: list[Packet] = []
        try:
            for stretch in self._resampler.resample(sound):
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
    # A few per cent of loss are concealed from the packet after: a page has no time to ask again.
    context.options = {
        "application": "voip",
        "frame_duration": "20",
        "fec": "1",
        "packet_loss": "5",
    }
    context.open()
    return context
