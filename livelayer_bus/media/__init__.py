"""Frames and channels: one copy of an agent's video and audio, any number of readers."""

from .audio import AudioChannel, AudioSubscription, AudioWriter
from .frames import AudioFrame, FrameData, FrameMetadata, PixelFormat, Pixels, VideoFrame
from .statistics import ChannelStatistics, ReaderStatistics, Reading, Timing, TimingWindow
from .video import VideoChannel, VideoSubscription, VideoWriter

__all__ = [
    "VideoFrame",
    "AudioFrame",
    "FrameData",
    "FrameMetadata",
    "PixelFormat",
    "Pixels",
    "VideoChannel",
    "AudioChannel",
    "VideoSubscription",
    "AudioSubscription",
    "VideoWriter",
    "AudioWriter",
    "ReaderStatistics",
    "Reading",
    "ChannelStatistics",
    "Timing",
    "TimingWindow",
]

for _name in __all__:
    _public = globals()[_name]
    if isinstance(_public, type):
        _public.__module__ = __name__
