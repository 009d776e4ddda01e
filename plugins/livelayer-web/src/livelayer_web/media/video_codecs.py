"""One frame in, one packet out: scaling, libvpx and libx264 as a live stream needs them."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import cast, final

import av
import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.reformatter import Interpolation, VideoReformatter

from livelayer_bus.media import VideoFrame

from .packets import Packet
from .quality import CodecName, Quality

VIDEO_TIME_BASE = Fraction(1, 90_000)  # of a second; RTP's clock for pictures
KEY_FRAMES_ONLY_ON_DEMAND = 1 << 20  # frames between two that were not requested
LARGE_PICTURE = 640 * 480  # pixels; from here a second thread shortens the latency
SPARE_CORES = 4  # from here a second thread does not slow down others


@final
class VideoEncoder:
    """Encodes pictures at once and in order; used by one thread at a time.

    Another size or bitrate reopens the codec, and that picture becomes a key frame, as the first
    one does. H264 repeats its parameter sets before each key frame.
    """

    def __init__(self, codec: CodecName, quality: Quality) -> None:
        self._codec: CodecName = codec
        self._quality = quality
        self._context: VideoCodecContext | None = None
        self._opened_for: tuple[int, int, int] | None = None

    def encode(
        self, picture: av.VideoFrame, pts: int, *, bitrate: int, key_frame: bool
    ) -> list[Packet]:
        """The packets of one picture: usually one.

        Args:
            picture: even sides, yuv420p. Its picture type is overwritten: use it with one encoder.
            pts: its presentation time, in 1/90000 s; greater than the one before.
            bitrate: bit/s.
            key_frame: whether it must be decodable without those before.

        Raises:
            av.FFmpegError: the codec refused the picture; the next one reopens it.
        """
        wanted = (picture.width, picture.height, bitrate)
        if self._context is None or self._opened_for != wanted:
            self._context = self._open(*wanted)
            self._opened_for = wanted
            key_frame = True
        picture.pts = pts
        picture.time_base = VIDEO_TIME_BASE
        picture.pict_type = PictureType.I if key_frame else PictureType.NONE
        try:
            return self._context.encode(picture)
        except Exception:
            self._context = None
            raise

    def _open(self, width: int, height: int, bitrate: int) -> VideoCodecContext:
        if self._codec == "VP8":
            context = av.CodecContext.create("libvpx", "w")
            context.options = _vp8_options(bitrate)
        else:
            context = av.CodecContext.create("libx264", "w")
            context.profile = "Baseline"
            context.options = _h264_options(bitrate)
        context.width, context.height = width, height
        context.pix_fmt = "yuv420p"
        context.bit_rate = bitrate
        context.time_base = VIDEO_TIME_BASE
        context.framerate = Fraction(self._quality.fps).limit_denominator(1001)
        context.gop_size = KEY_FRAMES_ONLY_ON_DEMAND
        spare = (os.cpu_count() or 1) >= SPARE_CORES
        context.thread_count = 2 if spare and width * height >= LARGE_PICTURE else 1
        context.open()
        return context


def _vp8_options(bitrate: int) -> dict[str, str]:
    return {
        "deadline": "realtime",
        "cpu-used": "-8",  # negative: this speed for every picture
        "lag-in-frames": "0",
        "error-resilient": "default",
        "minrate": str(bitrate),  # all three equal: a constant rate
        "maxrate": str(bitrate),
        "bufsize": str(bitrate),  # one second
        "undershoot-pct": "100",
        "overshoot-pct": "15",
        "max-intra-rate": "300",  # per cent of an average frame: no burst at a key frame
        "static-thresh": "1",
    }


def _h264_options(bitrate: int) -> dict[str, str]:
    return {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "level": "31",  # of the profile that browsers offer, 42e01f
        "forced-idr": "1",
        "maxrate": str(bitrate),
        "bufsize": str(bitrate // 2),  # half a second
        "x264-params": "repeat-headers=1:aud=0:scenecut=0",
    }


Plane = npt.NDArray[np.uint8]


def target_size(width: int, height: int, rotation: int, wanted_height: int) -> tuple[int, int]:
    """The size to encode an upright picture in: not above the source's, with even sides.

    Args:
        width: columns of the source, in pixels.
        height: rows of the source, in pixels.
        rotation: degrees clockwise by which the source has to be rotated.
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
    """Makes the pictures of one encoder; used by one thread at a time."""

    def __init__(self, height: int) -> None:
        self._height = height
        self._reformatter = VideoReformatter()

    def scale(self, frame: VideoFrame) -> av.VideoFrame:
        """The frame upright and in the size to encode, as a new object.

        A frame that has that size already is not copied: the result reads its memory.
        """
        width, height = target_size(frame.width, frame.height, frame.rotation, self._height)
        picture = _upright(frame) if frame.rotation else _wrapped(frame)
        if (picture.width, picture.height) == (width, height):
            return picture
        # At half the size and below, averaging looks better than bilinear interpolation.
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
    # numpy rotates anticlockwise.
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


SIDE = 64  # pixels
CODECS: tuple[CodecName, ...] = ("VP8", "H264")


def warm_up() -> None:
    """Scale and encode a small frame in each codec, so that the libraries are loaded.

    It takes a few milliseconds of this thread.
    """
    grey = VideoFrame(bytes([128]) * (SIDE * SIDE * 3 // 2), SIDE, SIDE)
    quality = Quality("warm-up", SIDE // 2, 100_000, 30.0)
    for codec in CODECS:
        picture = Scaler(quality.height).scale(grey)
        VideoEncoder(codec, quality).encode(picture, 0, bitrate=quality.bitrate, key_frame=True)
