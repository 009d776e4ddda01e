"""Room adapters: what joins a room and reports it to a session."""

from livelayer_bus.rooms.isolated import IsolatedRoom, IsolationStatistics
from livelayer_bus.rooms.livekit import BorrowedRoom, LiveKitRoom, RoomStatistics

__all__ = [
    "LiveKitRoom",
    "BorrowedRoom",
    "IsolatedRoom",
    "RoomStatistics",
    "IsolationStatistics",
]

for _public in (LiveKitRoom, BorrowedRoom, IsolatedRoom, RoomStatistics, IsolationStatistics):
    _public.__module__ = __name__
