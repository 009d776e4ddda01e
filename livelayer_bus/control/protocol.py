"""The messages of the control socket: one request a connection, JSON lines both ways.

    {"request": "status"}                                     -> {"reply": "status", ...}
    {"request": "send", "message": {"type": ...}}             -> {"reply": "ok"}
    {"request": "tail", "after": "<session id>:<sequence>"}   -> {"line": ...} until the end

Any request may be answered with `{"reply": "problem", ...}` instead. The lines of `tail` are those
of `livelayer_bus.jsonl`.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from ..errors import BrokenError, BusyError, ClosedError, LivelayerError, MisuseError, RefusedError
from ..events import ConnectionState

MAX_REQUEST: Final = 128 * 1024
"""Bytes of a request's line; a message may have far less, and the session says so itself."""
MAX_REPLY: Final = 64 * 1024 * 1024
"""Bytes of a line that a client takes: a snapshot holds a whole transcript."""

Fault: TypeAlias = Literal["closed", "broken", "busy", "misuse", "refused", "failed"]

_KINDS: Final[tuple[tuple[type[LivelayerError], Fault], ...]] = (
    (ClosedError, "closed"),
    (BusyError, "busy"),
    (MisuseError, "misuse"),
    (RefusedError, "refused"),
    (BrokenError, "broken"),
)


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="request"):
    pass


class StatusRequest(_Request, frozen=True, tag="status"):
    """Ask for the session's status."""


class SendRequest(_Request, frozen=True, tag="send"):
    """Publish a data message in the session's room."""

    message: dict[str, Any]
    timeout: float = 5.0  # seconds
    require_agent: bool = True


class TailRequest(_Request, frozen=True, tag="tail"):
    """Follow the session's events."""

    after: str | None = None
    """A cursor to go on after; without one, a snapshot comes first."""
    types: tuple[str, ...] = ()
    """Names of events; all, if empty."""


Request: TypeAlias = StatusRequest | SendRequest | TailRequest


class _Reply(msgspec.Struct, frozen=True, tag_field="reply"):
    pass


class Ok(_Reply, frozen=True, tag="ok"):
    """Done."""


class SessionStatus(_Reply, frozen=True, tag="status"):
    """A running session, as it described itself."""

    id: str
    pid: int
    agent_id: str
    connection_state: ConnectionState
    reconnecting: bool
    agent_ready: bool
    sequence: int
    surfaces: tuple[str, ...]
    tails: int
    """Clients that follow it."""


class Problem(_Reply, frozen=True, tag="problem"):
    """Why a request was not carried out."""

    kind: Fault
    error: str
    """The error's class in the session's process."""
    message: str
    retryable: bool = False

    @classmethod
    def of(cls, error: Exception) -> Problem:
        """What may be told about an error; the text of a foreign one may hold a payload."""
        name = type(error).__name__
        kinds: list[Fault] = [kind for base, kind in _KINDS if isinstance(error, base)]
        kind: Fault = kinds[0] if kinds else "failed"
        message = str(error) if isinstance(error, LivelayerError) else f"{name} in the session"
        retryable = error.retryable if isinstance(error, BrokenError) else kind == "busy"
        return cls(kind, name, message, retryable)

    def rebuild(self) -> LivelayerError:
        """The error for a client to raise: of the same kind, with the same message."""
        match self.kind:
            case "misuse":
                return MisuseError(self.message)
            case "refused":
                return RefusedError(self.message)
            case _:
                return BrokenError(self.message, retryable=self.retryable)


Reply: TypeAlias = Ok | SessionStatus | Problem

_encoder = msgspec.json.Encoder()
_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_replies: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def encode(message: Request | Reply) -> bytes:
    """The message as one line."""
    return _encoder.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """The request of a line.

    Raises:
        MisuseError: the line is not a request.
    """
    try:
        return _requests.decode(line)
    except (ValueError, RecursionError) as exc:  # msgspec.DecodeError is a ValueError, too
        reason = str(exc) if isinstance(exc, msgspec.ValidationError) else "it is not valid JSON"
        raise MisuseError(f"not a control request: {reason}") from exc


def decode_reply(line: bytes) -> Reply:
    """The reply of a line.

    Raises:
        BrokenError: the line is not a reply; the session runs another version.
    """
    try:
        return _replies.decode(line)
    except (ValueError, RecursionError) as exc:
        problem = "the session gave an answer that this version does not understand"
        raise BrokenError(problem, retryable=False) from exc
