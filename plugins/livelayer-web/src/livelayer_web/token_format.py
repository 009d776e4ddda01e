"""What a viewer token says, and its signature: a JWT with HMAC-SHA256."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Final, Literal, TypeAlias, final, get_args

import jwt
import msgspec
from jwt.utils import base64url_decode, base64url_encode
from msgspec import Meta

from livelayer_bus import MisuseError, RefusedError

Grant: TypeAlias = Literal["watch", "talk", "control"]
"""watch: events and media. talk: messages, command answers, microphone, camera, screen.
control: connect, disconnect, switch the agent."""

GRANTS: Final[frozenset[Grant]] = frozenset(get_args(Grant))
"""Every grant: the default of a token."""

AUDIENCE: Final = "livelayer-web"
MIN_SECRET: Final = 32  # bytes: as long as the hash that it keys
MAX_TOKEN: Final = 4096  # characters
_ALGORITHM: Final = "HS256"


class ViewerTokenError(RefusedError):
    """A viewer token was refused; `code` is the problem's.

    The text never contains the token, nor anything that the token's holder may not know.
    """

    code: ClassVar[str] = "token"


class TokenInvalidError(ViewerTokenError):
    """The token is not signed with this secret, is invalid, or is for another session."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this viewer token is not valid here: {reason}")
        self.reason = reason


class TokenExpiredError(ViewerTokenError):
    """The token has expired, `seconds` ago."""

    code: ClassVar[str] = "expired"

    def __init__(self, seconds: float | None = None) -> None:
        since = "has expired" if seconds is None else f"expired {seconds:.0f} s ago"
        super().__init__(
            f"this viewer token {since}: get a new one; if it is new, the clocks of this machine "
            "and of the one that signs tokens differ, set them"
        )


class TokenReplayedError(ViewerTokenError):
    """The token was used before."""

    code: ClassVar[str] = "replayed"

    def __init__(self) -> None:
        super().__init__("this viewer token was used before: get a new one")


class TokenRevokedError(ViewerTokenError):
    """The token was revoked."""

    code: ClassVar[str] = "revoked"

    def __init__(self) -> None:
        super().__init__("this viewer token was revoked")


class TokenClaims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The JWT's payload."""

    aud: str
    sid: Annotated[str, Meta(min_length=1, max_length=256)]
    jti: Annotated[str, Meta(min_length=1, max_length=128)]
    grants: Annotated[list[Grant], Meta(min_length=1, max_length=len(get_args(Grant)))]
    iat: float
    exp: float
    nbf: float = -math.inf


@final
class TokenSigner:
    """Signs and reads tokens with one secret. It checks signature and form, not time or session.

    Guarantee: only the exact characters that were signed are accepted.

    Raises:
        MisuseError: the secret is too short or is a key of another kind.
    """

    def __init__(self, secret: str | bytes) -> None:
        self._key = secret.encode() if isinstance(secret, str) else bytes(secret)
        if len(self._key) < MIN_SECRET:
            raise MisuseError(
                f"the viewer tokens' secret has {len(self._key)} bytes, {MIN_SECRET} are required: "
                "make one with secrets.token_urlsafe(32)"
            )
        # Not PyJWT's own claim checks: they read the system's clock, and its JSON has NaN.
        self._jws = jwt.PyJWS(algorithms=[_ALGORITHM])
        try:
            self._jws.encode(b"{}", self._key, _ALGORITHM)
        except jwt.InvalidKeyError as exc:
            raise MisuseError(
                "the viewer tokens' secret looks like a public key or certificate: make a random "
                "one with secrets.token_urlsafe(32)"
            ) from exc

    def sign(self, claims: TokenClaims) -> str:
        """The token with these claims."""
        return self._jws.encode(msgspec.json.encode(claims), self._key, _ALGORITHM)

    def read(self, token: str) -> TokenClaims:
        """The token's claims.

        Raises:
            TokenInvalidError: the token was not signed with this secret, or is not a viewer's.
        """
        if not _is_canonical(token):
            raise TokenInvalidError("it is not a signed token")
        try:
            payload = self._jws.decode(token, self._key, algorithms=[_ALGORITHM])
        except jwt.PyJWTError as exc:
            raise TokenInvalidError("its signature is not this server's") from exc
        try:
            claims = msgspec.json.decode(payload, type=TokenClaims)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise TokenInvalidError("its claims are not a viewer token's") from exc
        if claims.aud != AUDIENCE:
            raise TokenInvalidError(f"its audience is not {AUDIENCE!r}")
        return claims


def _is_canonical(token: str) -> bool:
    """Whether the text is the only way to write these bytes.

    base64 decoders ignore foreign characters and the spare bits of the last one, so that several
    texts would pass for one token.
    """
    if len(token) > MAX_TOKEN or not token.isascii():
        return False
    try:
        return all(
            base64url_encode(base64url_decode(part)) == part.encode() for part in token.split(".")
        )
    except ValueError:
        return False
