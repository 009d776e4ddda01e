"""The SDK's errors and disconnect reasons, turned into this package's, without any secret."""

from __future__ import annotations

import re
from typing import Final

from livekit import rtc

from ..contract import RoomLoss
from ..errors import BrokenError, ConnectError, RoomRefusedError
from .redaction import shown_url, without_secrets

_STATUS = re.compile(r"client error: (?P<status>\d{3})[^-]*-?\s*(?P<text>.*)", re.DOTALL)
_REFUSALS = frozenset({"401", "403"})
_BAD_URL = "failed to parse the url"

_Reason = rtc.DisconnectReason
_LOSSES: Final[dict[int, RoomLoss]] = {
    _Reason.CLIENT_INITIATED: RoomLoss(
        "the room was disconnected through the SDK's own room object", rejoin=False, fault=False
    ),
    _Reason.DUPLICATE_IDENTITY: RoomLoss(
        "another participant joined with the same identity", rejoin=False
    ),
    _Reason.PARTICIPANT_REMOVED: RoomLoss(
        "this participant was removed from the room", rejoin=False, fault=False
    ),
    _Reason.ROOM_DELETED: RoomLoss("the room was deleted", rejoin=False, fault=False),
    _Reason.ROOM_CLOSED: RoomLoss("the room was closed", rejoin=False, fault=False),
    _Reason.SERVER_SHUTDOWN: RoomLoss("the server shut down", rejoin=True),
    _Reason.STATE_MISMATCH: RoomLoss("the server no longer knew this connection", rejoin=True),
    _Reason.JOIN_FAILURE: RoomLoss("the connection was never completed", rejoin=True),
    _Reason.MIGRATION: RoomLoss("the server moved the room elsewhere", rejoin=True),
    _Reason.SIGNAL_CLOSE: RoomLoss("the signalling connection was closed", rejoin=True),
    _Reason.CONNECTION_TIMEOUT: RoomLoss("the server stopped answering", rejoin=True),
    _Reason.MEDIA_FAILURE: RoomLoss("the media connection failed", rejoin=True),
}
_UNKNOWN: Final = RoomLoss("the connection to the room broke", rejoin=True)


def room_loss(reason: int) -> RoomLoss:
    """What an SDK disconnect reason means for the session."""
    return _LOSSES.get(reason, _UNKNOWN)


def join_error(url: str, token: str, problem: str) -> ConnectError | RoomRefusedError:
    """The error for a join that the SDK reports with the text `problem`."""
    reason = without_secrets(problem, token)
    answer = _STATUS.search(reason)
    if answer and answer["status"] in _REFUSALS:
        return RoomRefusedError(shown_url(url), answer["text"].strip() or answer["status"])
    return ConnectError(shown_url(url), reason, retryable=_BAD_URL not in reason)


def broken(what: str, problem: Exception) -> BrokenError:
    """The error for an SDK call that failed while the room was joined."""
    return BrokenError(f"{what}: {without_secrets(str(problem)) or type(problem).__name__}")
