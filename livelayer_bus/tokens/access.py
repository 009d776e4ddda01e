"""What a token source is asked for and what it gives: a room's address and the right to join it."""

from __future__ import annotations

import base64
from typing import Any, Protocol

import msgspec

from ..events import AgentConfig
from .addresses import shown


class RoomAccess(msgspec.Struct, frozen=True):
    """A room's address and the right to join it; its repr hides the token."""

    url: str
    token: str
    room_name: str | None = None
    agent_config: AgentConfig | None = None

    def __repr__(self) -> str:
        return f"RoomAccess(url={shown(self.url)!r}, room_name={self.room_name!r}, token=...)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("url", shown(self.url)), ("room_name", self.room_name)]


class TokenRequest(msgspec.Struct, frozen=True):
    """What a token is asked for."""

    agent_id: str
    base_url: str | None = None
    prior_room_name: str | None = None
    """The room to return to; None for a new one."""


class TokenSource(Protocol):
    """Anything that gives access to a room: called anew for every connection."""

    async def __call__(self, request: TokenRequest, /) -> RoomAccess: ...


class Claims(msgspec.Struct, frozen=True):
    """The parts of a token that a client may read; nothing here is verified."""

    room_name: str | None = None
    expires: float | None = None
    """Seconds since 1970, UTC."""


class _Grants(msgspec.Struct):
    room: str | None = None


class _Payload(msgspec.Struct):
    video: _Grants = msgspec.field(default_factory=_Grants)
    exp: float | None = None


def read_claims(token: str) -> Claims:
    """What the token says of itself; empty when it is no JSON Web Token."""
    parts = token.split(".")
    if len(parts) != 3:
        return Claims()
    try:
        text = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_")
        payload = msgspec.json.decode(text, type=_Payload)
    except (ValueError, RecursionError):  # base64 and JSON errors are both ValueErrors
        return Claims()
    return Claims(payload.video.room or None, payload.exp)
