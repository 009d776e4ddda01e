"""Pictures as an encoder takes them: upright, and of one size."""

from __future__ import annotations

import av
import numpy as np

from livelayer_bus import VideoFrame
from livelayer_bus.media import Pixels


def black(size: tuple[int, int]) -> av.VideoFrame:
    """A black picture of an even size."""
    return _picture(_canvas(size), *size)


def _canvas(size: tuple[int, int]) -> Pixels:
    pixels = size[0] * size[1]
    canvas = np.full(pixels * 3 // 2, 128, np.uint8)
    canvas[:pixels] = 16
    return canvas


def even(size: tuple[int, int]) -> tuple[int, int]:
    """The largest size within that an encoder takes."""
    # Colour has half the resolution of light: encoders take even sizes only.
    return max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2)


def upright_size(frame: VideoFrame) -> tuple[int, int]:
    """Width and height as a viewer sees it."""
    turned = frame.rotation in (90, 270)
    return (frame.height, frame.width) if turned else (frame.width, frame.height)


def _picture(data: Pixels, width: int, height: int) -> av.VideoFrame:
    return av.VideoFrame.from_numpy_buffer(data.reshape(height * 3 // 2, width), format="yuv420p")


def fitted(frame: VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
    """The picture upright, in the middle of a black one of this size; shared if it is that size."""
    if not frame.rotation and (frame.width, frame.height) == size:
        return _picture(np.frombuffer(frame.data, np.uint8), *size)
    width, height = upright_size(frame)
    planes = [_turned(plane, frame) for plane in _planes(frame)]
    even_width, even_height = even((width, height))
    if min(width, height) < 2:
        planes = [
            np.full((2, 2) if not at else (1, 1), 16 if not at else 128, np.uint8)
            for at in range(3)
        ]
    luma = planes[0][:even_height, :even_width]
    chroma = [plane[: even_height // 2, : even_width // 2] for plane in planes[1:]]
    packed = np.concatenate([luma.ravel(), *(plane.ravel() for plane in chroma)])
    picture = _picture(packed, even_width, even_height)
    scale = min(size[0] / even_width, size[1] / even_height)
    inner = even((round(even_width * scale), round(even_height * scale)))
    inner = min(inner[0], size[0]), min(inner[1], size[1])
    if inner != (even_width, even_height):
        picture = picture.reformat(width=inner[0], height=inner[1])
    if inner == size:
        return picture
    return _framed(picture, size)


def _framed(picture: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
    width, height = size
    canvas = _canvas(size)
    luma = canvas[: width * height].reshape(height, width)
    quarter = width * height // 4
    blue = canvas[width * height : width * height + quarter].reshape(height // 2, width // 2)
    red = canvas[width * height + quarter :].reshape(height // 2, width // 2)
    left, top = (width - picture.width) // 4 * 2, (height - picture.height) // 4 * 2
    for at, (plane, target) in enumerate(zip(picture.planes, (luma, blue, red), strict=True)):
        half = 1 if at else 0
        rows, columns = picture.height >> half, picture.width >> half
        source = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        x, y = left >> half, top >> half
        target[y : y + rows, x : x + columns] = source[:rows, :columns]
    return _picture(canvas, width, height)


def _planes(frame: VideoFrame) -> list[Pixels]:
    chroma = (frame.height + 1) // 2, (frame.width + 1) // 2
    shapes = ((frame.height, frame.width), chroma, chroma)
    return [
        np.frombuffer(plane, np.uint8).reshape(shape)
        for plane, shape in zip(frame.planes, shapes, strict=True)
    ]


def _turned(plane: Pixels, frame: VideoFrame) -> Pixels:
    # `rot90` turns counter-clockwise.
    return np.rot90(plane, -(frame.rotation // 90))
