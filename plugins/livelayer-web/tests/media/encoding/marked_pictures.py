"""Pictures that are told apart after a codec: one cell of a grid is bright."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from livelayer_bus.media import VideoFrame

MARKS = 16  # cells of a 4 x 4 grid
BRIGHT, DARK = 220, 40  # luma


def marked_picture(
    width: int, height: int, mark: int = 0, *, rotation: int = 0, received_ns: int | None = None
) -> VideoFrame:
    """A dark picture with one bright cell of a 4 x 4 grid, which survives scaling and codecs.

    Args:
        width, height: columns and rows of pixels, at least 4.
        mark: which cell, 0 to 15 from the top left, row by row; modulo 16.
        rotation, received_ns: as in `VideoFrame`.
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
