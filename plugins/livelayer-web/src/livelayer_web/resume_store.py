"""Lets pages that have gone return as the same viewer, by the key that they had, for a while."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Final, final

import msgspec

from livelayer_bus.clock import Clock

from .token_format import Grant

RESUME_SECONDS: Final = 300.0
"""How long a page that has gone may return."""
CAPACITY: Final = 4096
"""Records at once. Beyond that, the oldest is forgotten."""


class ResumeRecord(msgspec.Struct, frozen=True):
    """What a page gets back when it returns."""

    session_id: str
    id: str
    """The viewer's."""
    grants: frozenset[Grant]
    token_id: str | None
    used: int


def digest_of(key: str) -> bytes:
    """What is stored instead of a key."""
    return blake2b(key.encode(errors="surrogatepass"), digest_size=32).digest()


@final
class ResumeStore:
    """Records by the digests of their keys, in bounded memory. It outlives a surface's restart.

    Args:
        clock: measures how long a record is kept.
        seconds: how long that is.
    """

    def __init__(self, clock: Clock, seconds: float = RESUME_SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds
        self._records: OrderedDict[bytes, tuple[float, ResumeRecord]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def remember(self, digest: bytes, record: ResumeRecord) -> None:
        """Keep the record for the store's time from now."""
        now = self._clock.now()
        self._records.pop(digest, None)
        self._records[digest] = now + self._seconds, record
        while self._records:
            until, _ = next(iter(self._records.values()))
            if until > now and len(self._records) <= CAPACITY:
                return
            self._records.popitem(last=False)

    def find(self, digest: bytes, session_id: str) -> ResumeRecord | None:
        """The record; None if it is unknown, expired or of another session."""
        until, record = self._records.get(digest, (0.0, None))
        if record is None or record.session_id != session_id or until <= self._clock.now():
            return None
        return record

    def revoke(self, token_id: str) -> None:
        """Forget the records of viewers that joined with the token."""
        for digest, (_, record) in tuple(self._records.items()):
            if record.token_id == token_id:
                del self._records[digest]
