"""Who may ask: API keys, or the application's own check."""

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
from livelayer_bus.tokens import API_KEY_HEADER

from ..http import credential


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated caller, and what it may do. Only the caller that a room was made for can
    resume it."""

    id: str
    """Identifies the caller in logs, rate limits and to the agent: an account's id, not a key."""
    agents: frozenset[str] | None = None
    """Ids of the agents it may talk to; None: all."""
    rooms: tuple[str, ...] = ()
    """Patterns (`*`, `?`) of rooms that it may name in LiveKit's standard request. Any other name
    becomes a room of this caller alone."""
    identity: str | None = None
    """The identity in its tokens; None: generated, and the same when a room is resumed."""
    name: str | None = None
    """The name that others see."""

    def may_use(self, agent_id: str) -> bool:
        """Whether it may talk to the agent."""
        return self.agents is None or agent_id in self.agents

    def may_name(self, room: str) -> bool:
        """Whether it may name the room itself."""
        return any(fnmatchcase(room, pattern) for pattern in self.rooms)


Auth: TypeAlias = Callable[[Request], Awaitable[Caller | None]]
"""Called for each request for a token. None refuses it with 401."""


@final
class ApiKeys:
    """Accepts requests with one of the keys: `x-api-key: KEY`, or `Authorization: Bearer KEY`.

    Guarantee: only salted hashes of the keys stay in memory. Every key is compared, in constant
    time.

    Args:
        keys: the keys by the names that appear in logs.

    Raises:
        ConfigError: there are no keys, or one is empty or not printable ASCII.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        if not keys:
            raise ConfigError("keys", "no keys: add one, or use `anyone`")
        self._salt = secrets.token_bytes(16)
        self._hashes: list[tuple[Caller, bytes]] = []
        for name, key in keys.items():
            if not key or not key.isascii() or not key.isprintable() or " " in key:
                raise ConfigError(f"keys.{name}", "it is empty or not printable ASCII")
            self._hashes.append((Caller(id=name), self._hash(key)))

    async def __call__(self, request: Request) -> Caller | None:
        """The caller with this key; None if the key is missing or wrong."""
        given = self._hash(credential(request.headers, API_KEY_HEADER) or "")
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
    """Accepts every request: for pages whose visitors have no account. Origins and rates apply."""
    del request
    return Caller(id="anyone")
