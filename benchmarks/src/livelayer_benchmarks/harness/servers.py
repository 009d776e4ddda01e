"""The LiveKit server of a benchmark: an embedded one in a process of its own, or a real one."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from livelayer_bus.errors import ConfigError

from .processes import Ready, Send, started

if TYPE_CHECKING:
    # Imported where they are used: every process of a benchmark imports this module, those of the
    # bus a dozen at a time, and the SDK takes a second.
    from livekit import rtc

    from livelayer_bus import LocalKeys

AGENT: Final = "agent"  # identity of the participant that publishes
START_SECONDS: Final = 30.0  # for the embedded server's process to listen
TOKEN_TIME: Final = timedelta(hours=2)


class Server(msgspec.Struct, frozen=True):
    """A LiveKit server and the key that signs tokens for it; its repr hides the secret."""

    url: str
    key: str
    secret: str

    def __repr__(self) -> str:
        return f"Server(url={self.url!r}, ...)"


class RoomRef(msgspec.Struct, frozen=True):
    """One room of one server: how a process joins it."""

    server: Server
    name: str

    def token(self, identity: str, *, agent: bool = False) -> str:
        """A token to join the room, as an agent or as a standard participant."""
        from livekit import api

        grants = api.VideoGrants(room_join=True, room=self.name)
        token = api.AccessToken(self.server.key, self.server.secret).with_grants(grants)
        token = token.with_identity(identity).with_kind("agent" if agent else "standard")
        return str(token.with_ttl(TOKEN_TIME).to_jwt())

    def token_source(self) -> LocalKeys:
        """What a session joins the room with."""
        from livelayer_bus import LocalKeys

        server = self.server
        return LocalKeys(server.url, server.key, server.secret, room_name=self.name)

    async def join(self, identity: str, *, agent: bool = False) -> rtc.Room:
        """Join with the bare SDK."""
        from livekit import rtc

        room = rtc.Room()
        await self.connect(room, identity, agent=agent)
        return room

    async def connect(self, room: rtc.Room, identity: str, *, agent: bool = False) -> None:
        """Join with an SDK room that listeners were attached to before.

        With the options that a session's own adapter uses.
        """
        from livekit import rtc

        token = self.token(identity, agent=agent)
        await room.connect(self.server.url, token, rtc.RoomOptions(single_peer_connection=False))


def new_room(server: Server) -> RoomRef:
    """A room of that server that is not in use."""
    return RoomRef(server, f"bench-{secrets.token_hex(6)}")


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
    with started(serve_embedded, Ready()) as process:
        yield process.answer(Server, START_SECONDS)


async def serve_embedded(job: Ready, send: Send, ended: asyncio.Event) -> None:
    """Serve until the parent ends it."""
    from livelayer_embedded import EmbeddedServer

    async with EmbeddedServer() as server:
        send(Server(server.url, server.key, server.secret))
        await ended.wait()
