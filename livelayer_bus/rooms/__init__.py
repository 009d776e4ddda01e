"""Room adapters: what joins a room and reports it to a session."""

from ..contract import (
    FrameTarget,
    MediaWriters,
    MicrophoneTrack,
    PublishedTrack,
    RoomFactory,
    RoomLoss,
    RoomPort,
    RoomSink,
    VideoTrack,
)
from .isolated import IsolatedRoom, IsolationStatistics
from .livekit import BorrowedRoom, LiveKitRoom, RoomStatistics
from .outcomes import join_error
from .redaction import redact_sdk_log

__all__ = [
    "LiveKitRoom",
    "BorrowedRoom",
    "IsolatedRoom",
    "RoomStatistics",
    "IsolationStatistics",
    "join_error",
    "redact_sdk_log",
    # Writing a room adapter
    "RoomPort",
    "RoomSink",
    "RoomLoss",
    "RoomFactory",
    "MediaWriters",
    "FrameTarget",
    "PublishedTrack",
    "MicrophoneTrack",
    "VideoTrack",
]

for _public in (LiveKitRoom, BorrowedRoom, IsolatedRoom, RoomStatistics, IsolationStatistics):
    _public.__module__ = __name__
