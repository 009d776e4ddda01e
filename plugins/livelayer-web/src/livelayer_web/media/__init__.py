"""A session's audio and video for pages: each encoded once, with one connection for each page."""

from .connection import ConnectionStatistics, MediaConnection
from .hub import (
    Media,
    MediaFullError,
    MediaMode,
    MediaSettings,
    MediaStatistics,
    MediaUnavailableError,
)
from .network import IceServer, MediaPortsTakenError, PageIceServer, Ports
from .quality import LADDER, Quality
from .sdp import KINDS, OfferError, SourceKind
from .uplink import SourceStatistics

__all__ = [
    "Media", "MediaMode", "MediaConnection", "MediaSettings", "MediaStatistics",
    "ConnectionStatistics", "SourceStatistics", "Quality", "LADDER", "SourceKind", "KINDS",
    "OfferError", "MediaFullError", "MediaUnavailableError", "MediaPortsTakenError", "IceServer",
    "PageIceServer", "Ports",
]  # fmt: skip

for _name in __all__:
    if isinstance(_public := globals()[_name], type):
        _public.__module__ = __name__
