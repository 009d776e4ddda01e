"""The SDK's errors and disconnect reasons as this package's, without any secret."""

from __future__ import annotations

import logging
import re
from typing import Final, final

from livekit import rtc

from ..errors import BrokenError, ConnectError, RoomRefusedError, without_tokens
from ..tasks import log_fault
from ..tokens.addresses import is_local, proxy_variables, shown
from .port import RoomLost

logger = logging.getLogger(__name__)

_STATUS = re.compile(r"client error: (?P<status>\d{3})[^-]*-?\s*(?P<text>.*)", re.DOTALL)
_REFUSALS = frozenset({"401", "403"})
_BAD_URL = "failed to parse the url"

_Reason = rtc.DisconnectReason
_LOSSES: Final[dict[int, RoomLost]] = {
    _Reason.CLIENT_INITIATED: RoomLost(
        "the room was disconnected through the SDK's own room object", rejoin=False, fault=False
    ),
    _Reason.DUPLICATE_IDENTITY: RoomLost(
        "another participant joined with the same identity", rejoin=False
    ),
    _Reason.PARTICIPANT_REMOVED: RoomLost(
        "this participant was removed from the room", rejoin=False, fault=False
    ),
    _Reason.ROOM_DELETED: RoomLost("the room was deleted", rejoin=False, fault=False),
    _Reason.ROOM_CLOSED: RoomLost("the room was closed", rejoin=False, fault=False),
    _Reason.SERVER_SHUTDOWN: RoomLost("the server shut down", rejoin=True),
    _Reason.STATE_MISMATCH: RoomLost("the server no longer knew this connection", rejoin=True),
    _Reason.JOIN_FAILURE: RoomLost("the connection was never completed", rejoin=True),
    _Reason.MIGRATION: RoomLost("the server moved the room elsewhere", rejoin=True),
    _Reason.SIGNAL_CLOSE: RoomLost("the signalling connection was closed", rejoin=True),
    _Reason.CONNECTION_TIMEOUT: RoomLost("the server stopped answering", rejoin=True),
    _Reason.MEDIA_FAILURE: RoomLost("the media connection failed", rejoin=True),
}
_UNKNOWN: Final = RoomLost("the connection to the room broke", rejoin=True)


def room_loss(reason: int) -> RoomLost:
    """What an SDK disconnect reason means for the session."""
    return _LOSSES.get(reason, _UNKNOWN)


def join_error(url: str, token: str, problem: str) -> ConnectError | RoomRefusedError:
    """The error for a join that the SDK reports with the text `problem`."""
    reason = without_tokens(problem, token).strip()
    answer = _STATUS.search(reason)
    if answer and answer["status"] in _REFUSALS:
        return RoomRefusedError(shown(url), answer["text"].strip() or answer["status"])
    scheme = "https" if url.startswith(("wss:", "https:")) else "http"
    names = "" if is_local(url) else proxy_variables(f"{scheme}_proxy")
    if names:
        reason += f" (through the proxy of {names}: the SDK does not look at NO_PROXY)"
    return ConnectError(shown(url), reason, retryable=_BAD_URL not in reason)


def report(what: str, error: Exception) -> None:
    """Log that code of ours failed inside the SDK; never with the event's payload."""
    log_fault(logger, what, error)


def broken(what: str, problem: Exception) -> BrokenError:
    """The error for an SDK call that failed while the room was joined."""
    return BrokenError(f"{what}: {without_tokens(str(problem)).strip() or type(problem).__name__}")


@final
class _TokenFilter(logging.Filter):
    """Takes tokens out of a record's text; passes every record on."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if "eyJ" in text:
            record.msg, record.args = without_tokens(text), None
        return True


_filter: Final = _TokenFilter()


def redact_sdk_log() -> None:
    """Have the SDK's logger leave out tokens: it quotes one that a server refused, in full."""
    logging.getLogger("livekit").addFilter(_filter)
