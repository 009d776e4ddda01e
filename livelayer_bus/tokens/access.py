"""What a token source is asked for and what it gives: a room's address and the right to join it."""

from __future__ import annotations

import base64
from typing import Any, Final, Literal, Protocol

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
    """The room to return to; None for a new one. For a viewer: the room to watch."""
    role: Literal["user", "viewer"] = "user"
    """A viewer is hidden, and may subscribe and nothing else."""


class TokenSource(Protocol):
    """Anything that gives access to a room: called anew for every connection."""

    async def __call__(self, request: TokenRequest, /) -> RoomAccess: ...


VIEWER_GRANTS: Final = {"roomJoin", "canSubscribe", "hidden"}
"""All that a viewer's token grants."""


class Claims(msgspec.Struct, frozen=True):
    """The parts of a token that a client may read; nothing here is verified."""

    room_name: str | None = None
    expires: float | None = None
    """Seconds since 1970, UTC."""
    is_viewer: bool = False
    """Whether it lets its bearer watch, and nothing else."""


class _Payload(msgspec.Struct):
    video: dict[str, Any] = {}
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
    grants, room = payload.video, payload.video.get("room")
    # What a token does not say of publishing, it allows.
    silent = grants.get("canPublish") is False and grants.get("canPublishData") is False
    given = {name for name, value in grants.items() if value is True}
    is_viewer = silent and "hidden" in given and given <= VIEWER_GRANTS
    return Claims(room if isinstance(room, str) and room else None, payload.exp, is_viewer)
