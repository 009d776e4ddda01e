"""Who asks: API keys, or a check of the application's own."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import TypeAlias, final

import msgspec
from starlette.requests import Request

from livelayer_bus.errors import ConfigError


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who was let in, and what for. A room can be resumed only by the caller it was made for."""

    id: str
    """Names the caller in logs, in rate limits and to the agent: an account's id, never a key."""
    agents: frozenset[str] | None = None
    """Ids of the agents it may talk to; None: all."""
    rooms: tuple[str, ...] = ()
    """Patterns (`*`, `?`) of rooms that it may name in LiveKit's standard request. Any other name
    is turned into one of the caller's own."""
    identity: str | None = None
    """The identity its tokens have; None: made up, and kept when a room is resumed."""
    name: str | None = None
    """The name that others see."""

    def may_use(self, agent_id: str) -> bool:
        """Whether it may talk to the agent."""
        return self.agents is None or agent_id in self.agents

    def may_name(self, room: str) -> bool:
        """Whether it may name the room itself."""
        return any(fnmatchcase(room, pattern) for pattern in self.rooms)


Auth: TypeAlias = Callable[[Request], Awaitable[Caller | None]]
"""Called for each request for a token; None refuses it with 401."""


@final
class ApiKeys:
    """Lets in whoever sends one of the keys: `x-api-key: KEY`, or `Authorization: Bearer KEY`.

    Guarantee: of the keys only salted hashes stay in memory; a comparison takes the same time
    wherever the keys differ, and is made with every key.

    Args:
        keys: the keys by the names that logs call them by.

    Raises:
        ConfigError: there are none, or one is empty or no printable ASCII.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        if not keys:
            raise ConfigError("keys", "there are none: add one, or let everybody in on purpose")
        self._salt = secrets.token_bytes(16)
        self._hashes: list[tuple[Caller, bytes]] = []
        for name, key in keys.items():
            if not key or not key.isascii() or not key.isprintable() or " " in key:
                raise ConfigError(f"keys.{name}", "it is empty or not printable ASCII")
            self._hashes.append((Caller(id=name), self._hash(key)))

    async def __call__(self, request: Request) -> Caller | None:
        """The caller whose key this is; None without a key, or with a wrong one."""
        given = self._hash(_key_of(request))
        found: Caller | None = None
        for caller, known in self._hashes:
            if hmac.compare_digest(given, known):
                found = caller
        return found

    def __repr__(self) -> str:
        return f"ApiKeys({', '.join(caller.id for caller, _ in self._hashes)})"

    def _hash(self, key: str) -> bytes:
        return blake2b(key.encode("utf-8", "surrogateescape"), key=self._salt).digest()


async def anyone(request: Request) -> Caller | None:
    """Lets everybody in: for pages whose visitors have no account; origins and rates still hold."""
    del request
    return Caller(id="anyone")


def _key_of(request: Request) -> str:
    key = request.headers.get("x-api-key")
    if key is not None:
        return key
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else ""
