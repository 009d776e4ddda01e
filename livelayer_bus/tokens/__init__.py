"""Where a session gets the address and the token of its room."""

from .access import RoomAccess, TokenRequest, TokenSource
from .addresses import HTTP_SCHEMES, ROOM_SCHEMES, check_address
from .dispatch import RESUMED_ATTRIBUTE, DispatchMetadata, read_dispatch_metadata
from .sources import (
    AGENT_CONFIG_PATH,
    API_KEY_HEADER,
    SESSION_PATH,
    WIDGET_AGENT_PATH,
    LiteralToken,
    LocalKeys,
    SessionEndpoint,
    TokenEndpoint,
    fetch_agent_config,
)

__all__ = [
    "TokenSource", "TokenRequest", "RoomAccess", "LiteralToken", "SessionEndpoint",
    "TokenEndpoint", "LocalKeys", "fetch_agent_config", "DispatchMetadata",
    "read_dispatch_metadata", "HTTP_SCHEMES", "ROOM_SCHEMES", "check_address", "SESSION_PATH",
    "AGENT_CONFIG_PATH", "WIDGET_AGENT_PATH", "API_KEY_HEADER", "RESUMED_ATTRIBUTE",
]  # fmt: skip
