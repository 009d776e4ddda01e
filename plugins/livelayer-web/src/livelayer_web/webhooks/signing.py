"""Signatures of webhooks as the Standard Webhooks specification has them, symmetric (`v1`).

The signature covers `<webhook-id>.<webhook-timestamp>.<body>`. A header may hold several, one for
each secret, so that a receiver can go over to another secret without losing a webhook.
"""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from livelayer_bus import RefusedError
from livelayer_bus.errors import ConfigError

PREFIX: Final = "whsec_"
ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"

TOLERANCE: Final = 300.0
"""Seconds between the clocks of sender and receiver, the way included."""
_VERSION: Final = "v1,"
_BYTES: Final = range(24, 65)  # of a secret
_MOST: Final = 16  # signatures that are compared
_DIGITS: Final = 12  # of a time stamp


class WebhookSignatureError(RefusedError):
    """A webhook is not from the sender, was altered, or is too old."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the webhook is not accepted: {reason}")
        self.reason = reason


def new_webhook_secret() -> str:
    """A new secret, `whsec_...`, for the sender and its receiver."""
    return PREFIX + b64encode(secrets.token_bytes(32)).decode()


def read_secrets(where: str, texts: str | Iterable[str]) -> tuple[bytes, ...]:
    """The keys of these secrets: one, or several.

    Raises:
        ConfigError: there are none, or one is invalid. It is not quoted.
    """
    given = [texts] if isinstance(texts, str) else list(texts)
    if not given:
        raise ConfigError(where, "there is no secret: make one with new_webhook_secret()")
    return tuple(_key(where, text) for text in given)


def sign(keys: Sequence[bytes], event_id: str, timestamp: int, body: bytes) -> str:
    """The value of the header `webhook-signature`: one signature for each key."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(key, signed, "sha256") for key in keys)
    return " ".join(_VERSION + b64encode(digest).decode() for digest in digests)


def verify_webhook(
    headers: Mapping[str, str],
    body: bytes,
    secrets: str | Iterable[str],
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> str:
    """Check that a webhook comes from the sender, unaltered and recent.

    Signatures are compared in constant time. A webhook may come more than once: its id is then the
    same.

    Args:
        headers: of the request; the case of names does not matter.
        body: as it arrived, byte for byte, before it is decoded.
        secrets: `whsec_...`, or several while the secret is changed.
        tolerance: seconds that its time stamp may differ from `now`.
        now: seconds since 1970; None: this machine's clock.

    Returns:
        The id of the event.

    Raises:
        WebhookSignatureError: it is not accepted.
        ConfigError: a secret is invalid.
    """
    keys = read_secrets("secrets", secrets)
    found = {name.lower(): value for name, value in headers.items()}
    event_id, stamp, given = (found.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not event_id or not stamp or not given:
        raise WebhookSignatureError(f"{ID}, {TIMESTAMP} and {SIGNATURE} are needed")
    # With a stop in it, the parts of what is signed could be told apart in two ways.
    if "." in event_id or not stamp.isascii() or not stamp.isdigit() or len(stamp) > _DIGITS:
        raise WebhookSignatureError(f"{ID} or {TIMESTAMP} is malformed")
    expected = sign(keys, event_id, int(stamp), body).encode().split(b" ")
    offered = given.encode().split(b" ")[:_MOST]
    matches = [hmac.compare_digest(one, other) for one in expected for other in offered]
    if not any(matches):
        raise WebhookSignatureError("no signature matches a secret")
    if abs((time.time() if now is None else now) - int(stamp)) > tolerance:
        raise WebhookSignatureError(f"its time stamp differs by more than {tolerance:g} s")
    return event_id


def _key(where: str, text: str) -> bytes:
    try:
        key = b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(PREFIX) or len(key) not in _BYTES:
        problem = f"it must be {PREFIX} and {_BYTES[0]} to {_BYTES[-1]} bytes in base64"
        raise ConfigError(where, f"{problem}: make one with new_webhook_secret()")
    return key
