"""Using the codecs once before a viewer waits for them: libraries load and pages are touched."""

from __future__ import annotations

from livelayer_bus.media import VideoFrame

from .quality import CodecName, Quality
from .scaling import Scaler
from .video_codecs import VideoEncoder

SIDE = 64  # pixels
CODECS: tuple[CodecName, ...] = ("VP8", "H264")


def warm_up() -> None:
    """Scale and encode a small picture in each codec; takes a few milliseconds of this thread."""
    grey = VideoFrame(bytes([128]) * (SIDE * SIDE * 3 // 2), SIDE, SIDE)
    quality = Quality("warm-up", SIDE // 2, 100_000, 30.0)
    for codec in CODECS:
        picture = Scaler(quality.height).scale(grey)
        VideoEncoder(codec, quality).encode(picture, 0, bitrate=quality.bitrate, key_frame=True)
