"""Where a session gets the address and the token of its room."""

from .access import (  # isort: skip
    HTTP_SCHEMES, RESUMED_ATTRIBUTE, ROOM_SCHEMES, DispatchMetadata, RoomAccess, TokenRequest,
    TokenSource, check_address, read_dispatch_metadata,
)  # fmt: skip
from .sources import (  # isort: skip
    AGENT_CONFIG_PATH, API_KEY_HEADER, SESSION_PATH, WIDGET_AGENT_PATH, LiteralToken, LocalKeys,
    SessionEndpoint, TokenEndpoint, fetch_agent_config,
)  # fmt: skip

__all__ = [
    "TokenSource", "TokenRequest", "RoomAccess", "LiteralToken", "SessionEndpoint",
    "TokenEndpoint", "LocalKeys", "fetch_agent_config", "DispatchMetadata",
    "read_dispatch_metadata", "HTTP_SCHEMES", "ROOM_SCHEMES", "check_address", "SESSION_PATH",
    "AGENT_CONFIG_PATH", "WIDGET_AGENT_PATH", "API_KEY_HEADER", "RESUMED_ATTRIBUTE",
]  # fmt: skip
