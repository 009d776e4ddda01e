"""Who owns a session: a record in a key-value bucket, renewed by compare-and-set.

The record never expires, so that a standby finds there what it needs to go on. A lease is over for
an observer once the record has not changed for its whole `ttl` while NATS answered.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Final, final
from uuid import uuid4

import msgspec

from livelayer_bus import BusyError
from livelayer_bus.clock import Clock, SystemClock

from .errors import NatsError, OwnershipLostError
from .store import SessionStore
from .wire import VERSION

LOOKS: Final = 4  # at the record, in one `ttl`


class Ownership(msgspec.Struct, frozen=True):
    """What everybody may know of a session's owner; no token is in it."""

    v: int
    owner: str
    """Names one run of one owner; empty when it has given the session up."""
    name: str
    """Its host and process, for people."""
    term: int
    """Grows with each owner."""
    ttl: float
    """Seconds until an owner that does not renew has lost the session."""
    room: str | None = None
    """Where the owner is in LiveKit; a standby joins there."""
    beat: int = 0


_decoder: Final = msgspec.json.Decoder(Ownership)


def read_ownership(value: bytes) -> Ownership | None:
    """The record; None if it does not exist, or this version cannot read it."""
    try:
        found = _decoder.decode(value)
    except (ValueError, RecursionError):
        return None
    return found if found.v == VERSION else None


class OwnedElsewhereError(BusyError):
    """Another process owns the session, and renews its lease."""

    def __init__(self, session_id: str, owner: str) -> None:
        super().__init__(
            f"session {session_id}", f"{owner} owns it; end that one, or wait as its standby"
        )
        self.session_id = session_id
        self.owner = owner


@final
class Lease:
    """One owner's lease of one session.

    Guarantee: at most one owner's compare-and-set succeeds. An answer that does not come is not
    a lost lease: it is lost when another owner's record is there.
    """

    def __init__(
        self, store: SessionStore, session_id: str, ttl: float, clock: Clock | None = None
    ) -> None:
        self._store = store
        self._session_id: Final = session_id
        self._clock: Final[Clock] = clock or SystemClock()
        self._revision = 0
        self._held_until = 0.0
        self.record = Ownership(
            VERSION, uuid4().hex, f"{socket.gethostname()}:{os.getpid()}", 0, ttl
        )

    @property
    def is_certain(self) -> bool:
        """Whether NATS confirmed the lease within the last `ttl`, on this process's clock."""
        return self._clock.now() < self._held_until

    async def take(self, *, wait: bool) -> Ownership | None:
        """Own the session; what the owner before it left, if there was one.

        Args:
            wait: as long as another owner renews its lease; False: it is an error.

        Raises:
            OwnedElsewhereError: another owner renews its lease.
            NatsError: the server does not answer, and `wait` is False.
        """
        seen, since = -1, 0.0
        while True:
            try:
                began = self._clock.now()
                revision, value = await self._store.owned(self._session_id)
                known = read_ownership(value)
                renewed = seen not in (-1, revision)
                if revision != seen:
                    seen, since = revision, began
                # What cannot be read may be anybody's: its owner has the time to write it again.
                free = not revision if known is None else known.owner in ("", self.record.owner)
                ttl = self.record.ttl if known is None else known.ttl
                if free or self._clock.now() - since >= ttl:
                    if await self._claim(revision, known):
                        return known
                    continue
                if renewed and not wait and known is not None:
                    raise OwnedElsewhereError(self._session_id, known.name)
            except NatsError:
                if not wait:
                    raise
                seen = -1  # the owner could not renew either: its time begins anew
            await self._clock.sleep(self.record.ttl / LOOKS)

    async def _claim(self, revision: int, known: Ownership | None) -> bool:
        began = self._clock.now()
        term = 1 if known is None else known.term + 1
        room = None if known is None else known.room
        record = msgspec.structs.replace(self.record, term=term, room=room)
        new = await self._store.own(self._session_id, _encode(record), revision)
        if new is None:
            return False
        self.record, self._revision, self._held_until = record, new, began + record.ttl
        return True

    async def keep(self, room: Callable[[], str | None]) -> None:
        """Renew the lease until cancelled.

        Args:
            room: the one that the session is in, as of now.

        Raises:
            OwnershipLostError: another owner has it.
        """
        while True:
            await self._clock.sleep(self.record.ttl / 3)
            record = msgspec.structs.replace(self.record, beat=self.record.beat + 1, room=room())
            began = self._clock.now()
            try:
                new = await self._store.own(self._session_id, _encode(record), self._revision)
                if new is None:
                    new = await self._find_own(record)
            except NatsError:
                continue
            self.record, self._revision = record, new
            self._held_until = began + record.ttl

    async def _find_own(self, record: Ownership) -> int:
        """The revision of our record after a renewal whose answer was lost.

        Raises:
            OwnershipLostError: another owner's record is there.
        """
        revision, value = await self._store.owned(self._session_id)
        known = read_ownership(value)
        if known is not None and known.owner != record.owner and known.term >= record.term:
            raise OwnershipLostError(self._session_id, known.name)
        new = await self._store.own(self._session_id, _encode(record), revision)
        if new is None:
            raise NatsError("renewing the lease", "the record changes at the same time")
        return new

    async def rival(self) -> str | None:
        """Who has the lease instead; None: it is still this owner's.

        Raises:
            NatsError: the server does not answer.
        """
        _, value = await self._store.owned(self._session_id)
        known = read_ownership(value)
        ours = known is None or known.owner in ("", self.record.owner)
        return None if known is None or ours else known.name

    async def give_up(self) -> None:
        """Let the next owner take the session at once; errors do not matter."""
        record = msgspec.structs.replace(self.record, owner="", beat=self.record.beat + 1)
        try:
            await self._store.own(self._session_id, _encode(record), self._revision)
        except NatsError:
            return


def _encode(record: Ownership) -> bytes:
    return msgspec.json.encode(record)
