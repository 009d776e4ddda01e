"""Statistics of encoders and readers."""

from __future__ import annotations

import msgspec

from livelayer_bus.media import Timing

from .quality import CodecName, Quality


class PacketReaderStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One viewer's packets so far."""

    delivered: int
    """Packets that the viewer received."""
    dropped: int
    """Packets that it will not receive: it was too slow, or stopped."""
    skipped: int
    """Packets that it could not have decoded, because they came before a key frame."""
    waiting: int
    """Packets that wait for it now."""
    peak_waiting: int
    """The most that ever waited."""
    switches: int
    """How often it switched from one source to another."""


class StreamStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One encoding so far, over all its runs."""

    codec: CodecName
    quality: Quality
    viewers: int
    """Readers that follow it now."""
    running: bool
    """Whether it has an encoder now."""
    frames: int
    """Frames encoded, once each for all viewers; a frame repeated as a key frame counts."""
    key_frames: int
    """Those of them that can be decoded without the ones before."""
    left_out: int
    """Frames that a newer one replaced while the encoder was busy."""
    failures: int
    """How often the encoder refused a frame and was reopened."""
    bytes: int
    """Encoded bytes, each counted once for all viewers."""
    bitrate: int
    """The encoder's target now, in bit/s."""
    encode: Timing
    """Scaling and encoding one frame, in the worker thread."""
    latency: Timing
    """From a frame's arrival in this process until its packet is offered to the viewers."""


class VideoStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """All encodings that were ever followed, best first within a codec."""

    streams: tuple[StreamStatistics, ...]

    @property
    def running(self) -> int:
        """Encoders that run now."""
        return sum(stream.running for stream in self.streams)


class AudioStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The audio encoding so far."""

    viewers: int
    """Readers that follow it now."""
    running: bool
    """Whether it has an encoder now."""
    packets: int
    """Packets of 20 ms, each counted once for all viewers."""
    bytes: int
    """Encoded bytes, each counted once for all viewers."""
    gaps: int
    """How often the audio stopped for a while, so that the timestamps skipped a gap."""
    failures: int
    """How often the encoder refused a frame and was reopened."""
    encode: Timing
    """Resampling and encoding one frame of the channel, in the worker thread."""
    latency: Timing
    """From the arrival of a packet's last frame in this process until the packet is offered."""
