"""Frames and channels: one copy of an agent's video and audio, any number of readers."""

from livelayer_bus.media.audio import AudioChannel, AudioSubscription, AudioWriter
from livelayer_bus.media.frames import AudioFrame, FrameMetadata, VideoFrame
from livelayer_bus.media.pixels import PixelFormat
from livelayer_bus.media.statistics import ChannelStatistics, ReaderStatistics, Reading, Timing
from livelayer_bus.media.video import VideoChannel, VideoSubscription, VideoWriter

__all__ = [
    "VideoFrame",
    "AudioFrame",
    "FrameMetadata",
    "PixelFormat",
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
]

for _public in (
    VideoFrame,
    AudioFrame,
    FrameMetadata,
    VideoChannel,
    AudioChannel,
    VideoSubscription,
    AudioSubscription,
    VideoWriter,
    AudioWriter,
    ReaderStatistics,
    Reading,
    ChannelStatistics,
    Timing,
):
    _public.__module__ = __name__
