"""Where pages that have gone come back to: by the key that they had, for a while."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Final, final

import msgspec

from livelayer_bus.clock import Clock

from .token_format import Grant

RESUME_SECONDS: Final = 300.0
"""How long a page that has gone may come back to its place."""
MAX_PLACES: Final = 4096
"""Places remembered at once; beyond that the one left for longest is forgotten."""


class Place(msgspec.Struct, frozen=True):
    """What a page that comes back finds again."""

    session_id: str
    id: str
    """The viewer's."""
    grants: frozenset[Grant]
    token_id: str | None
    used: int


def digest_of(key: str) -> bytes:
    """What is remembered of a key."""
    return blake2b(key.encode(errors="surrogatepass"), digest_size=32).digest()


@final
class Places:
    """Places by the digests of their keys, in bounded memory. Outlives a restart of the surface.

    Args:
        clock: what time is measured on.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._places: OrderedDict[bytes, tuple[float, Place]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def remember(self, digest: bytes, place: Place) -> None:
        """Keep the place from now on, for `RESUME_SECONDS`."""
        now = self._clock.now()
        self._places.pop(digest, None)
        self._places[digest] = now + RESUME_SECONDS, place
        while self._places:
            until, _ = next(iter(self._places.values()))
            if until > now and len(self._places) <= MAX_PLACES:
                return
            self._places.popitem(last=False)

    def find(self, digest: bytes, session_id: str) -> Place | None:
        """The place; None if there is none in this session, or not any more."""
        until, place = self._places.get(digest, (0.0, None))
        if place is None or place.session_id != session_id or until <= self._clock.now():
            return None
        return place

    def revoke(self, token_id: str) -> None:
        """Forget the places of those that the token let in."""
        for digest in [d for d, (_, place) in self._places.items() if place.token_id == token_id]:
            del self._places[digest]
