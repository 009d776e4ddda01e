"""Where a benchmark takes place: an embedded server in a process of its own, or a real server."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import msgspec
from livekit import api, rtc

from livelayer_bus.errors import ConfigError
from livelayer_bus.tokens import LocalKeys

from .processes import started

AGENT: Final = "agent"  # identity of who publishes
START_SECONDS: Final = 30.0  # for the embedded server's process to listen
TOKEN_TIME: Final = timedelta(hours=2)


class Server(msgspec.Struct, frozen=True):
    """A LiveKit server and what tokens for it are signed with; its repr hides the secret."""

    url: str
    key: str
    secret: str

    def __repr__(self) -> str:
        return f"Server(url={self.url!r}, ...)"


class ServerJob(msgspec.Struct, frozen=True):
    """Asks for an embedded server."""

    key: str
    secret: str


class Place(msgspec.Struct, frozen=True):
    """One room of one server."""

    server: Server
    room: str

    def token(self, identity: str, *, agent: bool = False) -> str:
        """A token to join the room, as an agent or as anybody."""
        grants = api.VideoGrants(room_join=True, room=self.room)
        token = api.AccessToken(self.server.key, self.server.secret).with_grants(grants)
        token = token.with_identity(identity).with_kind("agent" if agent else "standard")
        return str(token.with_ttl(TOKEN_TIME).to_jwt())

    def tokens(self) -> LocalKeys:
        """What a session joins the room with."""
        server = self.server
        return LocalKeys(server.url, server.key, server.secret, room_name=self.room)

    async def join(self, identity: str, *, agent: bool = False) -> rtc.Room:
        """Join with the bare SDK."""
        room = rtc.Room()
        await self.join_with(room, identity, agent=agent)
        return room

    async def join_with(self, room: rtc.Room, identity: str, *, agent: bool = False) -> None:
        """Join with an SDK room that listeners were attached to before.

        With the options that a session's own adapter uses.
        """
        token = self.token(identity, agent=agent)
        await room.connect(self.server.url, token, rtc.RoomOptions(single_peer_connection=False))


def new_room(server: Server) -> Place:
    """A room of that server that nobody uses."""
    return Place(server, f"bench-{secrets.token_hex(6)}")


@contextmanager
def server_for(url: str | None) -> Generator[Server]:
    """The real server at `url`, or an embedded one in a process of its own.

    Raises:
        ConfigError: a real server without LIVEKIT_API_KEY and LIVEKIT_API_SECRET.
        BrokenError: the embedded server's process failed.
    """
    if url is not None:
        key, secret = (os.environ.get(f"LIVEKIT_API_{name}", "") for name in ("KEY", "SECRET"))
        if not key or not secret:
            raise ConfigError("--url", "set LIVEKIT_API_KEY and LIVEKIT_API_SECRET for it")
        yield Server(url, key, secret)
        return
    job = ServerJob(f"bench{secrets.token_hex(4)}", secrets.token_urlsafe(32))
    with started("livelayer_benchmarks.server_process", job) as process:
        yield process.answer(Server, START_SECONDS)
