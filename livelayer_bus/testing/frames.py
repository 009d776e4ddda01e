"""Small frames for tests: pictures that differ, also after a codec, and silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..media import AudioFrame, VideoFrame

SAMPLE_RATE = 48_000  # Hz
SAMPLE_BYTES = 2
MARKS = 16  # cells of a 4 x 4 grid
BRIGHT, DARK = 220, 40  # luma


def grey_picture(width: int = 16, height: int = 16, luma: int = 128) -> VideoFrame:
    """A picture of one grey of brightness `luma` (0 to 255)."""
    chroma = ((width + 1) // 2) * ((height + 1) // 2)
    return VideoFrame(bytes([luma]) * (width * height) + b"\x80" * (2 * chroma), width, height)


def silence(
    milliseconds: int = 10, *, sample_rate: int = SAMPLE_RATE, num_channels: int = 1
) -> AudioFrame:
    """An audio frame of silence."""
    samples = sample_rate * milliseconds // 1000
    data = bytes(samples * num_channels * SAMPLE_BYTES)
    return AudioFrame(data, sample_rate, num_channels, samples)


def marked_picture(
    width: int,
    height: int,
    mark: int = 0,
    *,
    rotation: int = 0,
    received_ns: int | None = None,
) -> VideoFrame:
    """A dark picture with one bright cell of a 4 x 4 grid, which survives scaling and codecs.

    Args:
        width: columns of pixels, at least 4.
        height: rows of pixels, at least 4.
        mark: which cell, 0 to 15 from the top left, row by row; modulo 16.
        rotation: degrees clockwise, as in `VideoFrame`.
        received_ns: as in `VideoFrame`.
    """
    luma = np.full((height, width), DARK, dtype=np.uint8)
    _cell(luma, mark % MARKS)[:] = BRIGHT
    chroma = b"\x80" * (2 * ((width + 1) // 2) * ((height + 1) // 2))
    data = luma.tobytes() + chroma
    return VideoFrame(data, width, height, rotation=rotation, received_ns=received_ns)


def mark_of(luma: npt.NDArray[Any]) -> int:
    """Which cell of the grid is the brightest, of a picture's luma with shape (height, width)."""
    return int(np.argmax([_cell(luma, mark).mean() for mark in range(MARKS)]))


def _cell(luma: npt.NDArray[Any], mark: int) -> npt.NDArray[Any]:
    height, width = luma.shape
    row, column = divmod(mark, 4)
    rows = slice(row * height // 4, (row + 1) * height // 4)
    return luma[rows, column * width // 4 : (column + 1) * width // 4]
