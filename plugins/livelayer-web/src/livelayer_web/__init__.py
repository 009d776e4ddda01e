"""A session on web pages: a panel here, a bubble there, any number of viewers, one encode."""

from .http import GuardStatistics, PortTakenError, Rate
from .media import IceServer, MediaSettings, MediaStatistics, Quality
from .network_policy import NetworkPolicy
from .permissions import Permission
from .session_pool import SessionPoolStatistics, SessionsOnDemand
from .session_view import Agent
from .statistics import (
    CommandStatistics,
    MessageStatistics,
    StreamStatistics,
    ViewerStatistics,
    WebStatistics,
)
from .surface import WebSurface
from .token_format import (
    Grant,
    TokenExpiredError,
    TokenInvalidError,
    TokenReplayedError,
    TokenRevokedError,
    ViewerTokenError,
)
from .tokens import Claims, TokenStatistics, ViewerTokens
from .viewers import PageInfo, ViewerInfo

__all__ = [
    "WebSurface", "SessionsOnDemand", "Agent", "MediaSettings", "IceServer", "Quality",
    "NetworkPolicy", "Rate", "ViewerTokens", "Grant", "Claims", "ViewerInfo", "PageInfo",
    "Permission",
    # Errors
    "PortTakenError", "ViewerTokenError", "TokenInvalidError", "TokenExpiredError",
    "TokenReplayedError", "TokenRevokedError",
    # Statistics
    "WebStatistics", "ViewerStatistics", "StreamStatistics", "MessageStatistics",
    "CommandStatistics", "MediaStatistics", "GuardStatistics", "TokenStatistics",
    "SessionPoolStatistics",
]  # fmt: skip

# Not the records: msgspec reads their annotations in the module that they name.
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
