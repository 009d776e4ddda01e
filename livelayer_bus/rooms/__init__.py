"""Room adapters: what joins a room and reports it to a session, and the port to write another."""

from ..contract import Playback
from ..media.publishing import PublishedTrack, SourceName
from . import names
from .errors import join_error, network_problem
from .isolated import IsolatedRoom, IsolationStatistics
from .livekit import BorrowedRoom, LiveKitRoom, RoomStatistics
from .sdk_private import keep, prepare_sdk

from .port import (  # isort: skip
    AgentPresence, AgentStateReported, ConnectionInterrupted, ConnectionRestored, EventReplayed,
    FrameTarget, MediaWriters, PacketReceived, RoomEvent, RoomFactory, RoomFactoryWithTokens,
    RoomLost, RoomPort, RoomSink, TrackKind, TrackReported, UtteranceHeard,
)  # fmt: skip

__all__ = [
    "LiveKitRoom", "BorrowedRoom", "IsolatedRoom", "RoomStatistics", "IsolationStatistics",
    "join_error", "prepare_sdk", "keep", "network_problem", "names",
    # For the author of another adapter
    "RoomPort", "RoomFactory", "RoomSink", "MediaWriters", "FrameTarget", "PublishedTrack",
    "SourceName", "TrackKind", "RoomEvent", "ConnectionInterrupted", "ConnectionRestored",
    "RoomLost", "AgentPresence", "AgentStateReported", "PacketReceived", "UtteranceHeard",
    "TrackReported", "EventReplayed", "RoomFactoryWithTokens", "Playback",
]  # fmt: skip

for _public in (LiveKitRoom, BorrowedRoom, IsolatedRoom):
    _public.__module__ = __name__
