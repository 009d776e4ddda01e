"""A session on web pages: a panel here, a bubble there, any number of viewers, one encode."""

from livelayer_bus.endpoint.running import PortTakenError
from livelayer_web.guard import GuardStatistics, Policy
from livelayer_web.media import MediaSettings, MediaStatistics, Quality
from livelayer_web.opening import OpeningStatistics, SessionsOnDemand
from livelayer_web.options import Agent
from livelayer_web.statistics import (
    CommandStatistics,
    MessageStatistics,
    StreamStatistics,
    ViewerStatistics,
    WebStatistics,
)
from livelayer_web.surface import WebSurface
from livelayer_web.tokens import (
    Claims,
    Grant,
    TokenExpiredError,
    TokenInvalidError,
    TokenReplayedError,
    TokenRevokedError,
    TokenStatistics,
    ViewerTokenError,
    ViewerTokens,
)
from livelayer_web.viewers import PageInfo, ViewerInfo

__all__ = [
    "WebSurface",
    "SessionsOnDemand",
    "Agent",
    "MediaSettings",
    "Quality",
    "Policy",
    "ViewerTokens",
    "Grant",
    "Claims",
    "ViewerInfo",
    "PageInfo",
    # Errors
    "PortTakenError",
    "ViewerTokenError",
    "TokenInvalidError",
    "TokenExpiredError",
    "TokenReplayedError",
    "TokenRevokedError",
    # Statistics
    "WebStatistics",
    "ViewerStatistics",
    "StreamStatistics",
    "MessageStatistics",
    "CommandStatistics",
    "MediaStatistics",
    "GuardStatistics",
    "TokenStatistics",
    "OpeningStatistics",
]

for _public in (
    WebSurface,
    SessionsOnDemand,
    ViewerTokens,
    PortTakenError,
    ViewerTokenError,
    TokenInvalidError,
    TokenExpiredError,
    TokenReplayedError,
    TokenRevokedError,
):
    _public.__module__ = __name__
