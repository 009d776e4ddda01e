"""Where a session gets the address and the token of its room."""

from __future__ import annotations

from typing import Protocol

import msgspec

from .events import AgentConfig


class RoomAccess(msgspec.Struct, frozen=True):
    """A room's address and the right to join it."""

    url: str
    token: str
    room_name: str | None = None
    agent_config: AgentConfig | None = None


class TokenRequest(msgspec.Struct, frozen=True):
    """What a token is asked for."""

    agent_id: str
    base_url: str | None = None
    prior_room_name: str | None = None
    """The room to return to; None for a new one."""


class TokenSource(Protocol):
    """Anything that gives access to a room: called anew for every connection."""

    async def __call__(self, request: TokenRequest, /) -> RoomAccess: ...
