"""Room adapters: what joins a room and reports it to a session."""

from livelayer_bus.rooms.livekit import BorrowedRoom, LiveKitRoom, RoomStatistics

__all__ = ["LiveKitRoom", "BorrowedRoom", "RoomStatistics"]

for _public in (LiveKitRoom, BorrowedRoom, RoomStatistics):
    _public.__module__ = __name__
