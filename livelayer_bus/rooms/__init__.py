"""Room adapters: what joins a room and reports it to a session, and the port to write another."""

from livelayer_bus.publishing import PublishedTrack
from livelayer_bus.rooms.isolated import IsolatedRoom, IsolationStatistics
from livelayer_bus.rooms.livekit import BorrowedRoom, LiveKitRoom, RoomStatistics
from livelayer_bus.rooms.port import (
    AgentPresence,
    AgentStateReported,
    ConnectionInterrupted,
    ConnectionRestored,
    FrameTarget,
    MediaWriters,
    PacketReceived,
    RoomEvent,
    RoomFactory,
    RoomLost,
    RoomPort,
    RoomSink,
    TrackKind,
    TrackReported,
    UtteranceHeard,
)

__all__ = [
    "LiveKitRoom",
    "BorrowedRoom",
    "IsolatedRoom",
    "RoomStatistics",
    "IsolationStatistics",
    # For the author of another adapter
    "RoomPort",
    "RoomFactory",
    "RoomSink",
    "MediaWriters",
    "FrameTarget",
    "PublishedTrack",
    "TrackKind",
    "RoomEvent",
    "ConnectionInterrupted",
    "ConnectionRestored",
    "RoomLost",
    "AgentPresence",
    "AgentStateReported",
    "PacketReceived",
    "UtteranceHeard",
    "TrackReported",
]

for _public in (LiveKitRoom, BorrowedRoom, IsolatedRoom):
    _public.__module__ = __name__
