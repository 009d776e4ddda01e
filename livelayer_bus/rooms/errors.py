"""Why a room cannot be joined, or was lost: the SDK's reasons as ours, without any secret."""

from __future__ import annotations

import ctypes
import logging
import re
import socket
from functools import partial
from typing import Final

from livekit import rtc

from ..errors import BrokenError, ConnectError, RoomRefusedError, without_tokens
from ..tasks import log_fault
from ..tokens.access import is_local, proxy_variables, shown
from .port import RoomLost

logger = logging.getLogger(__name__)

_STATUS = re.compile(r"client error: (?P<status>\d{3})[^-]*-?\s*(?P<text>.*)", re.DOTALL)
_REFUSALS = frozenset({"401", "403"})
_BAD_URL = "failed to parse the url"

_Reason = rtc.DisconnectReason
_ON_PURPOSE: Final[dict[int, str]] = {
    _Reason.CLIENT_INITIATED: "the room was disconnected through the SDK's own room object",
    _Reason.PARTICIPANT_REMOVED: "this participant was removed from the room",
    _Reason.ROOM_DELETED: "the room was deleted",
    _Reason.ROOM_CLOSED: "the room was closed",
}
_BROKEN: Final[dict[int, str]] = {
    _Reason.SERVER_SHUTDOWN: "the server shut down",
    _Reason.STATE_MISMATCH: "the server no longer knew this connection",
    _Reason.JOIN_FAILURE: "the connection was never completed",
    _Reason.MIGRATION: "the server moved the room elsewhere",
    _Reason.SIGNAL_CLOSE: "the signalling connection was closed",
    _Reason.CONNECTION_TIMEOUT: "the server stopped answering",
    _Reason.MEDIA_FAILURE: "the media connection failed",
}


def room_loss(reason: int) -> RoomLost:
    if reason in _ON_PURPOSE:
        return RoomLost(_ON_PURPOSE[reason], rejoin=False, fault=False)
    if reason == _Reason.DUPLICATE_IDENTITY:
        return RoomLost("another participant joined with the same identity", rejoin=False)
    return RoomLost(_BROKEN.get(reason, "the connection to the room broke"), rejoin=True)


def join_error(url: str, token: str, problem: str) -> ConnectError | RoomRefusedError:
    """The error for a join that the SDK reports with the text `problem`."""
    reason = without_tokens(problem, token).strip()
    answer = _STATUS.search(reason)
    if answer and answer["status"] in _REFUSALS:
        return RoomRefusedError(shown(url), answer["text"].strip() or answer["status"])
    scheme = "https" if url.startswith(("wss:", "https:")) else "http"
    if names := "" if is_local(url) else proxy_variables(f"{scheme}_proxy"):
        reason += f" (through the proxy of {names}: the SDK does not look at NO_PROXY)"
    return ConnectError(shown(url), reason, retryable=_BAD_URL not in reason)


report = partial(log_fault, logger)
"""Logs that code of ours failed inside the SDK; never with the event's payload."""


def broken(what: str, problem: Exception) -> BrokenError:
    """The error for an SDK call that failed while the room was joined."""
    return BrokenError(f"{what}: {without_tokens(str(problem)).strip() or type(problem).__name__}")


def without_tokens_in(record: logging.LogRecord) -> bool:
    """A filter for the SDK's logger, which quotes a token that a server refused, in full."""
    text = record.getMessage()
    if "eyJ" in text:
        record.msg, record.args = without_tokens(text), None
    return True


# This machine's network ---------------------------------------------------------------------
#
# The native SDK reaches a server only from an interface that runs, is not loopback and has an
# address (WebRTC's `rtc_base/network.cc`), a server on 127.0.0.1 too. Without one, each join would
# end in a timeout. Found by trial with livekit 1.1.21 and 1.2.1.

PROBLEM: Final = "WebRTC needs a network interface with an address, and only loopback is up"
NETWORK_ADVICE: Final = "connect this machine to a network, for its own servers too"

_LOOPBACK: Final = 0x8  # IFF_LOOPBACK and IFF_RUNNING of Linux, macOS and the BSDs
_RUNNING: Final = 0x40


class _Interface(ctypes.Structure):
    """The head of their `struct ifaddrs`: one address of one interface."""


_Interface._fields_ = [
    ("next", ctypes.POINTER(_Interface)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.POINTER(ctypes.c_ubyte)),
]


def network_problem() -> str | None:
    """Why no room can be joined from this machine; None if it can, or the system does not say."""
    first = ctypes.POINTER(_Interface)()
    try:
        libc = ctypes.CDLL(None)
        if libc.getifaddrs(ctypes.byref(first)) != 0:
            return None
    except (AttributeError, OSError, TypeError):  # Windows
        return None
    interface, usable = first, False
    while bool(interface) and not usable:
        usable = _usable(interface.contents)
        interface = interface.contents.next
    libc.freeifaddrs(first)
    return None if usable else PROBLEM


def _usable(interface: _Interface) -> bool:
    address = interface.address
    if not address or interface.flags & (_RUNNING | _LOOPBACK) != _RUNNING:
        return False
    family = set(address[:2])  # the family and 0, or a length and the family
    if socket.AF_INET6 in family:
        return not (address[8] == 0xFE and address[9] & 0xC0 == 0x80)  # WebRTC skips fe80::/10
    return socket.AF_INET in family
