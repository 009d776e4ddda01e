"""Sound and pictures between one session and its pages: each encoded once, a connection a page."""

from livelayer_web.media.connection import ConnectionStatistics, MediaConnection
from livelayer_web.media.hub import (
    Media,
    MediaFullError,
    MediaSettings,
    MediaStatistics,
    MediaUnavailableError,
)
from livelayer_web.media.quality import LADDER, Quality
from livelayer_web.media.sdp import OfferError, SourceKind
from livelayer_web.media.uplink import SourceStatistics

__all__ = [
    "Media",
    "MediaConnection",
    "MediaSettings",
    "MediaStatistics",
    "ConnectionStatistics",
    "SourceStatistics",
    "Quality",
    "LADDER",
    "SourceKind",
    "OfferError",
    "MediaFullError",
    "MediaUnavailableError",
]

for _public in (
    Media,
    MediaConnection,
    MediaSettings,
    MediaStatistics,
    ConnectionStatistics,
    SourceStatistics,
    Quality,
    OfferError,
    MediaFullError,
    MediaUnavailableError,
):
    _public.__module__ = __name__
