"""Small frames for tests: a picture whose parts are told apart, and silence."""

from __future__ import annotations

from ..media import AudioFrame, VideoFrame

SAMPLE_RATE = 48_000  # Hz
SAMPLE_BYTES = 2


def grey_picture(width: int = 16, height: int = 16, luma: int = 128) -> VideoFrame:
    """A picture of one grey; `luma` (0 to 255) tells one from the next."""
    chroma = ((width + 1) // 2) * ((height + 1) // 2)
    return VideoFrame(bytes([luma]) * (width * height) + b"\x80" * (2 * chroma), width, height)


def silence(
    milliseconds: int = 10, *, sample_rate: int = SAMPLE_RATE, num_channels: int = 1
) -> AudioFrame:
    """A stretch of silence."""
    samples = sample_rate * milliseconds // 1000
    data = bytes(samples * num_channels * SAMPLE_BYTES)
    return AudioFrame(data, sample_rate, num_channels, samples)
