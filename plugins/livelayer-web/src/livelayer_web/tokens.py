"""Viewer tokens: short-lived, signed, for one session, taken once, revocable."""

from __future__ import annotations

import math
import re
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, ClassVar, Final, Literal, TypeAlias, final, get_args

import jwt
import msgspec
from msgspec import Meta

from livelayer_bus import MisuseError, RefusedError

from .token_memory import TokenMemory

Grant: TypeAlias = Literal["watch", "talk", "control"]
"""watch: events and media. talk: messages, command answers, microphone, camera, screen.
control: connect, disconnect, switch the agent."""

GRANTS: Final[frozenset[Grant]] = frozenset(get_args(Grant))
"""Every grant: what a token has unless told otherwise."""

AUDIENCE: Final = "livelayer-web"
MIN_SECRET: Final = 32  # bytes: as long as the hash that it keys
MAX_TTL: Final = 3600.0  # seconds
MAX_SKEW: Final = 5.0  # seconds by which another machine that signs may be ahead
MAX_TOKEN: Final = 4096  # characters
_ALGORITHM: Final = "HS256"
_PART: Final = re.compile(r"[A-Za-z0-9_-]+")


# Errors -------------------------------------------------------------------------------------


class ViewerTokenError(RefusedError):
    """A viewer token was turned down; `code` is the problem's, and the text never holds the token.

    The text says no more than whoever holds the token may know.
    """

    code: ClassVar[str] = "token"


class TokenInvalidError(ViewerTokenError):
    """It is no token of this secret, or one for another session."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this viewer token is not for here: {reason}")
        self.reason = reason


class TokenExpiredError(ViewerTokenError):
    """Its time is over."""

    code: ClassVar[str] = "expired"

    def __init__(self) -> None:
        super().__init__("this viewer token has expired: get a new one")


class TokenReplayedError(ViewerTokenError):
    """It was taken before."""

    code: ClassVar[str] = "replayed"

    def __init__(self) -> None:
        super().__init__("this viewer token was used before: get a new one")


class TokenRevokedError(ViewerTokenError):
    """It was revoked."""

    code: ClassVar[str] = "revoked"

    def __init__(self) -> None:
        super().__init__("this viewer token was revoked")


# Records ------------------------------------------------------------------------------------


class Claims(msgspec.Struct, frozen=True):
    """What a token that was taken says."""

    session_id: str
    token_id: str
    grants: frozenset[Grant]
    expires: float
    """Seconds since the epoch; limits the joining, not the viewer."""


class TokenStatistics(msgspec.Struct, frozen=True):
    """What happened to the tokens of one secret, here."""

    issued: int
    """Signed here."""
    taken: int
    """Verified: each let one viewer in."""
    refused: Mapping[str, int]
    """Turned down, by code."""
    remembered: int
    """Taken tokens that are not over yet."""
    revoked: int
    """Revoked tokens that may not be over yet."""


_Id = Annotated[str, Meta(min_length=1, max_length=128)]


class _Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    aud: str
    sid: Annotated[str, Meta(min_length=1, max_length=256)]
    jti: _Id
    grants: Annotated[list[Grant], Meta(min_length=1, max_length=len(get_args(Grant)))]
    iat: float
    exp: float
    nbf: float = -math.inf


# The tokens ---------------------------------------------------------------------------------


@final
class ViewerTokens:
    """Issues and takes viewer tokens: JWTs, signed with HMAC-SHA256.

    Guarantee: a token lets one viewer into one session, once, before it expires, unless it was
    revoked. Only the exact characters that were signed are accepted. Memory is bounded; when it
    overflows (65,536 tokens taken, or revoked, within their lifetimes), the oldest are refused
    rather than forgotten. What was taken is remembered by this object alone: give a secret to one
    object, except to sign. A clock that is set back makes no token good again.

    A token signed elsewhere has `aud` "livelayer-web", `sid` (the session's id), `jti` (unique),
    `grants` (a list), `iat` and `exp`, at most an hour apart.

    Args:
        secret: at least 32 bytes, random; text counts as UTF-8.
        ttl: seconds that a token is good for, at most 3600.
        now: wall-clock seconds since the epoch.

    Raises:
        MisuseError: the secret is too short or is a key of another kind, or `ttl` is out of range.
    """

    def __init__(
        self, secret: str | bytes, *, ttl: float = 60.0, now: Callable[[], float] = time.time
    ) -> None:
        key = secret.encode() if isinstance(secret, str) else bytes(secret)
        if len(key) < MIN_SECRET:
            raise MisuseError(
                f"the viewer tokens' secret has {len(key)} bytes, {MIN_SECRET} are the least: "
                "make one with secrets.token_urlsafe(32)"
            )
        self._ttl = _check_ttl(ttl)
        self._now = now
        self._key = key
        self._jws = jwt.PyJWS(algorithms=[_ALGORITHM])
        self._taken = TokenMemory()
        self._revoked = TokenMemory()
        self._listeners: list[Callable[[str], None]] = []
        self._issued = 0
        self._verified = 0
        self._refused: Counter[str] = Counter()
        try:
            self._sign(b"{}")
        except jwt.InvalidKeyError as exc:
            raise MisuseError(
                "the viewer tokens' secret looks like a public key or certificate: make a random "
                "one with secrets.token_urlsafe(32)"
            ) from exc

    def __repr__(self) -> str:
        return f"<ViewerTokens ttl={self._ttl:g}>"

    def issue(
        self, session_id: str, grants: Collection[Grant] = GRANTS, ttl: float | None = None
    ) -> str:
        """A fresh token for one viewer of the session.

        Args:
            session_id: the session's `id`.
            grants: what its viewer may do; at least one.
            ttl: seconds that it is good for, at most 3600; None: this object's own.

        Raises:
            MisuseError: there is no such grant, none at all, no session id, or `ttl` is out of
                range.
        """
        lifetime = self._ttl if ttl is None else _check_ttl(ttl)
        if isinstance(grants, str) or not grants or not GRANTS.issuperset(grants):
            raise MisuseError(f"grants is {grants!r}: give some of {sorted(GRANTS)}, as a list")
        if not 1 <= len(session_id) <= 256:
            raise MisuseError("a viewer token needs a session id of 1 to 256 characters")
        now = self._now()
        payload = _Payload(
            aud=AUDIENCE,
            sid=session_id,
            jti=secrets.token_urlsafe(16),
            grants=sorted(set(grants)),
            iat=now,
            exp=now + lifetime,
        )
        self._issued += 1
        return self._sign(msgspec.json.encode(payload))

    def verify(self, token: str, session_id: str) -> Claims:
        """Take the token: what it says; it cannot be taken again.

        Raises:
            TokenInvalidError: it was not signed with this secret, says something else than such a
                token does, or is for another session.
            TokenExpiredError: its time is over.
            TokenReplayedError: it was taken before.
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
        """The id that `revoke` takes; the token stays good, and may be over.

        Raises:
            TokenInvalidError: it was not signed with this secret.
        """
        return self._read(token).jti

    def revoke(self, token_id: str) -> None:
        """Refuse the token from now on, and end the viewers that it let in.

        Safe to call twice. Every callback of `on_revoke` has returned when this returns.
        """
        now = self._now()
        # Whenever it was signed, it is over by then: nobody signs further ahead.
        self._revoked.add(token_id, now + MAX_TTL + MAX_SKEW, now)
        for listener in tuple(self._listeners):
            listener(token_id)

    def is_revoked(self, token_id: str) -> bool:
        """Whether the token was revoked within the last hour."""
        return token_id in self._revoked

    def on_revoke(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback(token_id)` at every `revoke`, before it returns; gives its removal."""
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
        payload = self._read(token)
        now = self._now()
        if payload.sid != session_id:
            raise TokenInvalidError("it is for another session")
        if payload.exp <= now:
            raise TokenExpiredError
        if not (payload.nbf <= now + MAX_SKEW and payload.iat <= now + MAX_SKEW):
            raise TokenInvalidError("its time has not come")
        if payload.exp - payload.iat > MAX_TTL:
            raise TokenInvalidError(f"it is good for more than {MAX_TTL:g} s")
        # Revoked counts for its lifetime after the revoking, hence the earliest end it can have.
        if payload.jti in self._revoked or self._revoked.forgot(payload.iat + MAX_TTL):
            raise TokenRevokedError
        if payload.jti in self._taken:
            raise TokenReplayedError
        if self._taken.forgot(payload.exp):
            raise TokenExpiredError
        self._taken.add(payload.jti, payload.exp, now)
        return Claims(payload.sid, payload.jti, frozenset(payload.grants), payload.exp)

    def _sign(self, payload: bytes) -> str:
        return self._jws.encode(payload, self._key, _ALGORITHM)

    def _read(self, token: str) -> _Payload:
        if not _is_canonical(token):
            raise TokenInvalidError("it is no signed token")
        try:
            payload = self._jws.decode(token, self._key, algorithms=[_ALGORITHM])
        except jwt.PyJWTError as exc:
            raise TokenInvalidError("its signature is not this server's") from exc
        try:
            read = msgspec.json.decode(payload, type=_Payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise TokenInvalidError("its claims are not a viewer token's") from exc
        if read.aud != AUDIENCE:
            raise TokenInvalidError("it is for something else than this server's viewers")
        return read


def _check_ttl(ttl: float) -> float:
    if not 0 < ttl <= MAX_TTL:
        raise MisuseError(f"ttl is {ttl!r}: a viewer token is good for up to {MAX_TTL:g} seconds")
    return float(ttl)


def _is_canonical(token: str) -> bool:
    """Whether the text is the one way to write these bytes.

    base64 decoders ignore foreign characters and the last one's spare bits, so that several texts
    would pass for one token.
    """
    if len(token) > MAX_TOKEN or not token.isascii():
        return False
    parts = token.split(".")
    return len(parts) == 3 and all(
        _PART.fullmatch(part) is not None
        and len(part) % 4 != 1
        and urlsafe_b64encode(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        == (part + "=" * (-len(part) % 4)).encode()
        for part in parts
    )
