"""Room names that only this endpoint can have issued, without remembering them."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, final

PREFIX: Final = "ll-"
_HEAD: Final = 14  # bytes: 5 of time, 9 random
_MAC: Final = 12  # bytes
_TIME: Final = 5
_PURPOSE: Final = b"livelayer_web.endpoint room names"


@final
class RoomNames:
    """Makes and verifies room names: each is signed for one agent and one caller.

    Guarantee: a name that was forged, or issued for another agent or caller, is not accepted. Every
    process with the same secret accepts the names of all others. Nothing is kept in memory.

    Args:
        secret: the LiveKit API secret; a key of its own is derived from it.
    """

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), _PURPOSE, "sha256")

    def new(self, agent_id: str, caller_id: str, now: float) -> str:
        """A new, unique name; `now` is in seconds since 1970."""
        head = int(now).to_bytes(_TIME, "big") + secrets.token_bytes(_HEAD - _TIME)
        return PREFIX + _text(head + self._mac("room", agent_id, caller_id, head))

    def issued(self, name: str, agent_id: str, caller_id: str) -> float | None:
        """When the name was issued to this caller for this agent; None if it was not."""
        raw = _bytes(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
        if raw is None or len(raw) != _HEAD + _MAC:
            return None
        head, mac = raw[:_HEAD], raw[_HEAD:]
        if not hmac.compare_digest(mac, self._mac("room", agent_id, caller_id, head)):
            return None
        return float(int.from_bytes(head[:_TIME], "big"))

    def own(self, wanted: str, caller_id: str) -> str:
        """The caller's own room for a name of its choice: the same each time, never another's."""
        return f"{PREFIX}own-{_text(self._mac('own', caller_id, wanted, b''))}"

    def identity(self, room: str) -> str:
        """The identity of the participant that a room was made for: the same when it returns."""
        return f"user-{_text(self._mac('identity', room, '', b''))}"

    def _mac(self, purpose: str, first: str, second: str, head: bytes) -> bytes:
        parts = (purpose.encode(), first.encode(), second.encode(), head)
        # Lengths come first: different lists of parts make different texts.
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._key, text, "sha256")[:_MAC]


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes | None:
    if not text.isascii() or len(text) > 64:
        return None
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    # Only one text for each value: the decoder skips foreign characters.
    return raw if _text(raw) == text else None
