"""One picture that shows what recordings look like: a row of pictures for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import av
import av.error
import numpy as np

from livelayer_bus.media import Pixels

from .recording import Recording

COLUMNS: Final = 6
TILE: Final = (240, 136)  # pixels
MARGIN: Final = 8  # pixels
GROUND: Final = 24  # grey


def write_contact_sheet(recordings: Sequence[Recording], path: Path) -> None:
    """Write a PNG with a row for each recording, in their order: six moments of its picture.

    A recording without a picture is an empty row.

    Raises:
        OSError: the file cannot be written, or a media file not be read.
    """
    width = COLUMNS * (TILE[0] + MARGIN) + MARGIN
    height = max(1, len(recordings)) * (TILE[1] + MARGIN) + MARGIN
    sheet = np.full((height, width, 3), GROUND, np.uint8)
    for row, recording in enumerate(recordings):
        if recording.media is None:
            continue
        for column, tile in enumerate(_tiles(recording.media)):
            top, left = row * (TILE[1] + MARGIN) + MARGIN, column * (TILE[0] + MARGIN) + MARGIN
            sheet[top : top + TILE[1], left : left + TILE[0]] = tile
    path.write_bytes(png(sheet))


def png(image: Pixels) -> bytes:
    """The RGB picture, of shape (height, width, 3), as a PNG file."""
    encoder: Any = av.CodecContext.create("png", "w")
    encoder.width, encoder.height = image.shape[1], image.shape[0]
    encoder.pix_fmt, encoder.framerate = "rgb24", 1
    packets = encoder.encode(av.VideoFrame.from_ndarray(image, format="rgb24"))
    packets += encoder.encode(None)
    return b"".join(bytes(packet) for packet in packets)


def _tiles(path: Path) -> Iterator[Pixels]:
    """Pictures at equal steps of the file, as far as it can be read."""
    with suppress(av.error.FFmpegError), av.open(str(path)) as container:
        length = float(container.duration or 0) / av.time_base
        for column in range(COLUMNS if container.streams.video else 0):
            at = length * (column + 0.5) / COLUMNS
            shown: list[av.VideoFrame] = []
            with suppress(av.error.FFmpegError):  # the process died while it wrote this
                container.seek(int(at * av.time_base))
                for frame in container.decode(video=0):
                    shown[:] = [frame]
                    if frame.time >= at:
                        break
            yield from map(_tile, shown)


def _tile(frame: av.VideoFrame) -> Pixels:
    scale = min(TILE[0] / frame.width, TILE[1] / frame.height)
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    small = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
    tile = np.full((TILE[1], TILE[0], 3), 0, np.uint8)
    top, left = (TILE[1] - height) // 2, (TILE[0] - width) // 2
    tile[top : top + height, left : left + width] = small
    return tile
