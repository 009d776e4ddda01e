"""The problems of the web surface's routes; `http.problems` has those of any route."""

from __future__ import annotations

from typing import Final

from livelayer_bus import BrokenError, BusyError, ClosedError, LivelayerError
from livelayer_bus.errors import (
    ConnectionLostError,
    MalformedMessageError,
    MessageTooLargeError,
    NoAgentError,
    NotConnectedError,
    NotSupportedError,
    SourceBusyError,
)

from . import http
from .http.problems import CHALLENGE, SOON, Problem
from .media import MediaFullError, MediaPortsTakenError, MediaUnavailableError, OfferError
from .token_format import ViewerTokenError
from .workers import INSTANCE_HEADER


def no_token() -> Problem:
    """Joining needs a viewer token, and the request has none."""
    detail = "joining needs a viewer token: send it in X-LiveLayer-Key, or as Authorization: Bearer"
    return Problem(401, "token", detail, CHALLENGE)


def unknown_viewer(instance: str) -> Problem:
    """The key is not a viewer's of this instance of the surface."""
    headers = CHALLENGE | {INSTANCE_HEADER: instance}
    return Problem(401, "viewer", "this key is not a viewer's: join again", headers)


def not_granted(grant: str) -> Problem:
    """The viewer's token does not hold the grant."""
    return Problem(403, "grant", f"this viewer was not granted {grant!r}")


def unmounted() -> Problem:
    """The surface is not mounted now."""
    return Problem(503, "unmounted", "the surface is not mounted now: try again", SOON)


def full(what: str) -> Problem:
    """The limit is reached."""
    return Problem(503, "full", f"there are as many {what}s as allowed: try again later", SOON)


def unknown_agent() -> Problem:
    """The application does not offer the agent."""
    return Problem(404, "agent", "there is no such agent here")


def settled() -> Problem:
    """The approval has another outcome already."""
    return Problem(409, "settled", "this was answered, or is not asked any more")


def no_replay() -> Problem:
    """The session is live."""
    return Problem(409, "no_replay", "no recording is played here")


def not_carrying() -> Problem:
    """The page's event stream is not one that the viewer may share."""
    return Problem(409, "carrier", "this page's events cannot come by that page's stream")


def no_media() -> Problem:
    """The page has no media connection to send audio or video over."""
    return Problem(409, "no_media", "there is no media connection that offers it: connect first")


def no_room() -> Problem:
    """The token source gives no access to the room now."""
    return Problem(503, "room", "there is no access to the room now: try again", SOON)


def moved() -> Problem:
    """The session is not in the room that the page is in."""
    return Problem(409, "moved", "the session is in another room: ask for access to it")


def not_connecting(error: LivelayerError) -> Problem:
    """The session could not be connected."""
    return Problem(502, "connect", str(error))


_OF_SESSION: Final[tuple[tuple[type[LivelayerError], int, str], ...]] = (
    (OfferError, 400, "sdp"),
    (MalformedMessageError, 400, "message"),
    (MessageTooLargeError, 413, "size"),
    (NotSupportedError, 501, "unsupported"),
    (MediaFullError, 503, "media"),
    (MediaPortsTakenError, 503, "media_ports"),
    (MediaUnavailableError, 503, "media"),
    (BusyError, 503, "full"),
    (BrokenError, 503, "timeout"),
)
"""Status and code of what goes wrong between this server and a session; the first one counts."""


def problem_of(error: Exception) -> Problem | None:
    """The problem that an exception stands for; None if it is a fault of this server."""
    match error:
        case ViewerTokenError():
            return Problem(401, error.code, str(error), CHALLENGE)
        case NotConnectedError() | ConnectionLostError() | NoAgentError():
            return Problem(409, "not_connected", "the session is not connected to its agent")
        case SourceBusyError():
            return Problem(409, "busy", f"{error.owner} holds the {error.source}")
        case ClosedError():
            return unmounted()
        case _:
            pass
    for kind, status, code in _OF_SESSION:
        if isinstance(error, kind):
            return Problem(status, code, str(error), SOON if status == 503 else None)
    return http.problem_of(error)
