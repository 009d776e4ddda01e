"""Room adapters: what joins a room and reports it to a session."""

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
]

for _public in (LiveKitRoom, BorrowedRoom, IsolatedRoom, RoomStatistics, IsolationStatistics):
    _public.__module__ = __name__
