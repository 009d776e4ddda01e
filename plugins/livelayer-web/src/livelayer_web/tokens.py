"""Viewer tokens: short-lived, signed, for one session, taken once, revocable."""

from __future__ import annotations

import heapq
import math
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Final, final

import msgspec

from livelayer_bus import MisuseError

from .token_format import (
    AUDIENCE,
    GRANTS,
    Grant,
    TokenClaims,
    TokenExpiredError,
    TokenInvalidError,
    TokenReplayedError,
    TokenRevokedError,
    TokenSigner,
    ViewerTokenError,
)

MAX_TTL: Final = 3600.0  # seconds
LEEWAY: Final = 30.0  # seconds by which the clock of another machine that signs may be off
CAPACITY: Final = 65_536  # ids in memory at once


class Claims(msgspec.Struct, frozen=True):
    """What a token says that was taken."""

    session_id: str
    token_id: str
    grants: frozenset[Grant]
    expires: float
    """Seconds since the epoch. Limits joining; a viewer that has joined may stay."""


class TokenStatistics(msgspec.Struct, frozen=True):
    """The tokens of one secret, in this process."""

    issued: int
    """Signed here."""
    taken: int
    """Verified: each let one viewer in."""
    refused: Mapping[str, int]
    """By the problem's code."""
    remembered: int
    """Taken tokens that have not expired yet."""
    revoked: int
    """Revoked tokens that may not have expired yet."""


@final
class ViewerTokens:
    """Issues and takes viewer tokens: JWTs, signed with HMAC-SHA256.

    Guarantee: a token lets one viewer into one session, once, before it expires, unless it was
    revoked. Only the exact characters that were signed are accepted. Memory is bounded: when it
    overflows (65,536 tokens taken, or revoked, within their lifetimes), the oldest are refused
    rather than forgotten. Only this object remembers what was taken: give a secret to one object,
    except to sign. Setting the clock back does not make a token valid again.

    A token signed elsewhere has `aud` "livelayer-web", `sid` (the session's id), `jti` (unique),
    `grants` (a list), `iat` and `exp`, at most an hour apart. The
    clock of the machine that signs it may differ by 30 s, ahead or behind.

    Args:
        secret: at least 32 bytes, random; text counts as UTF-8.
        ttl: seconds that a token is valid, at most 3600; clocks may differ by 30 s more.
        now: wall-clock seconds since the epoch.

    Raises:
        MisuseError: the secret is too short or is a key of another kind, or `ttl` is out of range.
    """

    def __init__(
        self, secret: str | bytes, *, ttl: float = 60.0, now: Callable[[], float] = time.time
    ) -> None:
        self._signer = TokenSigner(secret)
        self._ttl = _check_ttl(ttl)
        self._now = now
        self._taken = TokenMemory()
        self._revoked = TokenMemory()
        self._listeners: list[Callable[[str], None]] = []
        self._issued = 0
        self._verified = 0
        self._refused: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<ViewerTokens ttl={self._ttl:g}>"

    def issue(
        self, session_id: str, grants: Collection[Grant] = GRANTS, ttl: float | None = None
    ) -> str:
        """A fresh token for one viewer of the session.

        Args:
            session_id: the session's `id`.
            grants: what its viewer may do; at least one.
            ttl: seconds that it is valid, at most 3600; None: this object's own.

        Raises:
            MisuseError: a grant does not exist, `grants` or the session id is empty, or `ttl` is
                out of range.
        """
        lifetime = self._ttl if ttl is None else _check_ttl(ttl)
        if isinstance(grants, str) or not grants or not GRANTS.issuperset(grants):
            raise MisuseError(f"grants is {grants!r}: give some of {sorted(GRANTS)}, as a list")
        if not 1 <= len(session_id) <= 256:
            raise MisuseError("a viewer token needs a session id of 1 to 256 characters")
        now = self._now()
        claims = TokenClaims(
            aud=AUDIENCE,
            sid=session_id,
            jti=secrets.token_urlsafe(16),
            grants=sorted(set(grants)),
            iat=now,
            exp=now + lifetime,
        )
        self._issued += 1
        return self._signer.sign(claims)

    def verify(self, token: str, session_id: str) -> Claims:
        """Take the token and return its claims. It cannot be taken again.

        Raises:
            TokenInvalidError: it was not signed with this secret, is not a viewer's, is for
                another session, or begins later.
            TokenExpiredError: it has expired.
            TokenReplayedError: it was used before.
            TokenRevokedError: it was revoked.
        """
        try:
            claims = self._take(token, session_id)
        except ViewerTokenError as exc:
            self._refused[exc.code] += 1
            raise
        self._verified += 1
        return claims

    def token_id(self, token: str) -> str:
        """The id that `revoke` takes. The token is not taken, and may have expired.

        Raises:
            TokenInvalidError: it was not signed with this secret.
        """
        return self._signer.read(token).jti

    def revoke(self, token_id: str) -> None:
        """Refuse the token from now on, and end the viewers that joined with it.

        Idempotent. Every callback of `on_revoke` has returned when this returns.
        """
        now = self._now()
        # Whenever it was signed, with whatever clock, it has expired by then.
        self._revoked.add(token_id, now + MAX_TTL + 2 * LEEWAY, now)
        for listener in tuple(self._listeners):
            listener(token_id)

    def is_revoked(self, token_id: str) -> bool:
        """Whether the token was revoked within the last hour."""
        return token_id in self._revoked

    def on_revoke(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback(token_id)` at every `revoke`, before it returns.

        Returns:
            A function that removes the callback.
        """
        self._listeners.append(callback)

        def remove() -> None:
            if callback in self._listeners:
                self._listeners.remove(callback)

        return remove

    def statistics(self) -> TokenStatistics:
        """What happened so far."""
        return TokenStatistics(
            issued=self._issued,
            taken=self._verified,
            refused=dict(self._refused),
            remembered=len(self._taken),
            revoked=len(self._revoked),
        )

    def _take(self, token: str, session_id: str) -> Claims:
        claims = self._signer.read(token)
        now = self._now()
        if claims.sid != session_id:
            raise TokenInvalidError("it is for another session")
        end = claims.exp + LEEWAY
        if end <= now:
            raise TokenExpiredError(now - claims.exp)
        if (ahead := max(claims.nbf, claims.iat) - now) > LEEWAY:
            raise TokenInvalidError(
                f"it begins in {ahead:.0f} s, and {LEEWAY:.0f} s are allowed: the clocks of this "
                "machine and of the one that signs tokens differ, set them"
            )
        if claims.exp - claims.iat > MAX_TTL:
            raise TokenInvalidError(f"it is valid for more than {MAX_TTL:g} s")
        # A revoked id is kept for a lifetime after `revoke`: this is the earliest end it can have.
        if claims.jti in self._revoked or self._revoked.forgot(claims.iat + MAX_TTL + LEEWAY):
            raise TokenRevokedError
        if claims.jti in self._taken:
            raise TokenReplayedError
        if self._taken.forgot(end):
            raise TokenExpiredError
        self._taken.add(claims.jti, end, now)
        return Claims(claims.sid, claims.jti, frozenset(claims.grants), claims.exp)


def _check_ttl(ttl: float) -> float:
    if not 0 < ttl <= MAX_TTL:
        raise MisuseError(f"ttl is {ttl!r}: a viewer token is valid for up to {MAX_TTL:g} seconds")
    return float(ttl)


@final
class TokenMemory:
    """Remembers each id until its token expires, in bounded memory.

    Guarantee: an id that was added is either in here, or `forgot(its end)` is True. A caller that
    checks both never takes a forgotten id for a new one, even if the clock is set back.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._ids: set[str] = set()
        self._ends: list[tuple[float, str]] = []
        self._forgotten = -math.inf

    def add(self, token_id: str, end: float, now: float) -> None:
        """Remember the id until `end`. Ids that have ended, or exceed the capacity, are removed.

        An id that is in here already keeps its end.
        """
        while self._ends and self._ends[0][0] <= now:
            self._forget_first()
        if token_id in self._ids:
            return
        self._ids.add(token_id)
        heapq.heappush(self._ends, (end, token_id))
        if len(self._ids) > self._capacity:
            self._forget_first()

    def forgot(self, end: float) -> bool:
        """Whether an id with this end may have been forgotten."""
        return end <= self._forgotten

    def __contains__(self, token_id: str) -> bool:
        return token_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def _forget_first(self) -> None:
        end, token_id = heapq.heappop(self._ends)
        self._ids.remove(token_id)
        self._forgotten = max(self._forgotten, end)
