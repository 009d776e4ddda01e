"""The numbers of the encoding half: frozen records, a sentence a field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from livelayer_bus.media import Timing

from .quality import CodecName, Quality


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PacketReaderStatistics:
    """One viewer's packets so far."""

    delivered: int
    """Packets the viewer took."""
    dropped: int
    """Packets it will never get: it was too slow, or wanted nothing more."""
    skipped: int
    """Packets it could not have decoded, as they came before a key frame."""
    waiting: int
    """Packets it would get now without waiting."""
    peak_waiting: int
    """The most that ever waited."""
    switches: int
    """How often it went over from one source to another."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatistics:
    """One quality in one codec so far, over every time it ran."""

    codec: CodecName
    quality: Quality
    viewers: int
    """Readers that follow it now."""
    running: bool
    """Whether it has an encoder now."""
    frames: int
    """Pictures encoded, once each for all viewers; a picture repeated as a key frame counts."""
    key_frames: int
    """Those of them that can be decoded without the ones before."""
    left_out: int
    """Pictures that a newer one overtook while the encoder was busy."""
    failures: int
    """How often the encoder refused a picture and was opened anew."""
    bytes: int
    """What was encoded, before it is sent to any viewer."""
    bitrate: int
    """What its encoder aims at now, in bit/s."""
    encode: Timing
    """Scaling and encoding one picture, in the worker thread."""
    latency: Timing
    """From a picture's arrival in this process to its packet being offered to the viewers."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PictureStatistics:
    """All qualities that were ever followed, best first within a codec."""

    streams: tuple[StreamStatistics, ...]

    @property
    def running(self) -> int:
        """Encoders there are now."""
        return sum(stream.running for stream in self.streams)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SoundStatistics:
    """The one encode of the sound so far."""

    viewers: int
    """Readers that follow it now."""
    running: bool
    """Whether it has an encoder now."""
    packets: int
    """Stretches of 20 ms encoded, once each for all viewers."""
    bytes: int
    """What was encoded, before it is sent to any viewer."""
    gaps: int
    """How often the sound stopped for a while and its clock went on without it."""
    failures: int
    """How often the encoder refused a stretch and was opened anew."""
    encode: Timing
    """Resampling and encoding one frame of the channel, in the worker thread."""
    latency: Timing
    """From the arrival of a packet's last sound in this process to the packet being offered."""
