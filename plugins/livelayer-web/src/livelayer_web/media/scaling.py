"""From a frame of the bus to the picture an encoder takes: turned upright, even, no larger."""

from __future__ import annotations

from typing import cast, final

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

from livelayer_bus.media import VideoFrame

Plane = npt.NDArray[np.uint8]


def target_size(width: int, height: int, rotation: int, wanted_height: int) -> tuple[int, int]:
    """The size to encode an upright picture at: never above the source's, both sides even.

    Args:
        width: columns of the source, in pixels.
        height: rows of the source, in pixels.
        rotation: degrees clockwise that the source has to be turned by.
        wanted_height: rows of the upright picture, in pixels.
    """
    if rotation % 180:
        width, height = height, width
    rows = min(wanted_height, height)
    return _even(width * rows / height), _even(rows)


def _even(pixels: float) -> int:
    return max(2, int(pixels / 2 + 1e-6) * 2)


@final
class Scaler:
    """Makes an encoder's pictures; one for each encoder, used by one thread at a time."""

    def __init__(self, height: int) -> None:
        self._height = height
        self._reformatter = VideoReformatter()

    def scale(self, frame: VideoFrame) -> av.VideoFrame:
        """Return the frame upright and in the size to encode, as an object of the caller's own.

        A frame of that size already is not copied: the result reads its memory.
        """
        width, height = target_size(frame.width, frame.height, frame.rotation, self._height)
        picture = _upright(frame) if frame.rotation else _wrapped(frame)
        if (picture.width, picture.height) == (width, height):
            return picture
        # Small enough, an average of the pixels beneath beats interpolation between two of them.
        shrinks = picture.height >= 2 * height
        return self._reformatter.reformat(
            picture,
            width=width,
            height=height,
            interpolation=Interpolation.AREA if shrinks else Interpolation.BILINEAR,
            threads=1,
        )


def _wrapped(frame: VideoFrame) -> av.VideoFrame:
    if frame.width % 2 or frame.height % 2:
        return _filled([_plane(frame, index) for index in range(3)])
    # Encoders only read, and the picture keeps the array, and so the frame's memory, alive.
    return av.VideoFrame.from_numpy_buffer(frame.to_ndarray("i420"), format="yuv420p")


def _upright(frame: VideoFrame) -> av.VideoFrame:
    quarters = frame.rotation // 90
    # numpy turns anticlockwise.
    return _filled([np.rot90(_plane(frame, index), -quarters) for index in range(3)])


def _plane(frame: VideoFrame, index: int) -> Plane:
    columns = frame.strides[index]
    return np.frombuffer(frame.planes[index], dtype=np.uint8).reshape(-1, columns)


def _filled(planes: list[Plane]) -> av.VideoFrame:
    height, width = planes[0].shape
    picture = av.VideoFrame(width, height, "yuv420p")
    for plane, source in zip(picture.planes, planes, strict=True):
        memory = np.frombuffer(cast(bytes, plane), dtype=np.uint8)
        rows = memory.reshape(-1, plane.line_size)
        rows[: source.shape[0], : source.shape[1]] = source
    return picture
