"""What can go wrong between two processes that share a session."""

from __future__ import annotations

from livelayer_bus import BrokenError


class OwnershipLostError(BrokenError):
    """Another process owns the session: this one can write nothing more about it."""

    def __init__(self, session_id: str, owner: str) -> None:
        super().__init__(
            f"session {session_id} belongs to {owner} now: leave the room, this process's events "
            "reach no remote any more",
            retryable=False,
        )
        self.session_id = session_id
        self.owner = owner


class NoOwnerError(BrokenError):
    """The session has no owner, or its owner does not answer; the same call may succeed later."""

    def __init__(self, session_id: str, what: str, seconds: float) -> None:
        super().__init__(
            f"no owner of session {session_id} answered {what!r} within {seconds:g} s: see whether "
            "its process and NATS run; with a standby, try again"
        )
        self.session_id = session_id
        self.what = what
        self.seconds = seconds


class NoSuchSessionError(BrokenError):
    """NATS has nothing about the session yet; the same call may succeed later."""

    def __init__(self, session_id: str, where: str) -> None:
        super().__init__(
            f"NATS knows no session {session_id!r} in {where}: mount a NatsBridge on it, with the "
            "same stream name"
        )
        self.session_id = session_id


class NatsError(BrokenError):
    """NATS could not be reached, or refused what was asked of it."""

    def __init__(self, what: str, reason: str, *, retryable: bool = True) -> None:
        super().__init__(f"NATS: {what} failed: {reason}", retryable=retryable)
        self.what = what
        self.reason = reason
