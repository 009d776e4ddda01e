"""One picture in, one packet out: libvpx and libx264 as a live stream needs them, through PyAV."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import final

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from .packets import Packet
from .quality import CodecName, Quality

VIDEO_TIME_BASE = Fraction(1, 90_000)  # of a second; RTP's clock for pictures
KEY_FRAMES_ONLY_ON_DEMAND = 1 << 20  # frames between two that nobody asked for
LARGE_PICTURE = 640 * 480  # pixels, from which a second thread shortens the wait
SPARE_CORES = 4  # from which a second thread takes nothing from anybody


@final
class VideoEncoder:
    """Encodes the pictures it is given, at once and in order; used by one thread at a time.

    Another size or bitrate opens the codec anew, and such a picture comes out as a key frame, as
    the first one does. H264 repeats its parameter sets before each key frame.
    """

    def __init__(self, codec: CodecName, quality: Quality) -> None:
        self._codec: CodecName = codec
        self._quality = quality
        self._context: VideoCodecContext | None = None
        self._opened_for: tuple[int, int, int] | None = None

    def encode(
        self, picture: av.VideoFrame, pts: int, *, bitrate: int, key_frame: bool
    ) -> list[Packet]:
        """Return the packets of one picture: one, as a rule.

        Args:
            picture: even sides, yuv420p, given to no other encoder: its kind is written into it.
            pts: when it is shown, in 1/90000 s; greater than the one before.
            bitrate: bit/s.
            key_frame: whether it has to be decodable without those before.

        Raises:
            av.FFmpegError: the codec refused; the next picture opens it anew.
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
        "cpu-used": "-8",  # negative: this fast, whatever the picture
        "lag-in-frames": "0",
        "error-resilient": "default",
        "minrate": str(bitrate),  # all three alike: a constant rate
        "maxrate": str(bitrate),
        "bufsize": str(bitrate),  # one second
        "undershoot-pct": "100",
        "overshoot-pct": "15",
        "max-intra-rate": "300",  # per cent of a frame's share: no burst at a key frame
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
