"""Error answers: a status, a code for programs, a sentence for people, as problem+json."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from livelayer_bus import BrokenError, ClosedError, LivelayerError
from livelayer_bus.errors import (
    ConnectionLostError,
    MalformedMessageError,
    MessageTooLargeError,
    NotConnectedError,
    NotSupportedError,
    SourceBusyError,
)

from .media import MediaFullError, MediaUnavailableError, OfferError
from .tokens import ViewerTokenError

MEDIA_TYPE: Final = "application/problem+json"
MAX_DETAIL: Final = 500  # characters


class ProblemBody(msgspec.Struct, frozen=True):
    """The JSON body of every answer that is no success."""

    title: str
    status: int
    detail: str
    code: str
    type: str = "about:blank"


class Problem(Exception):
    """Ends a request with an error answer.

    Guarantee: nothing of the request is in the answer but what `detail` quotes, and that at most
    500 characters of it.

    Args:
        status: the HTTP status.
        code: for programs; one of the words of docs/protocol.md.
        detail: for people: what is wrong, and what to do. No secret belongs in it.
        headers: further headers of the answer.
    """

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer."""
        title = HTTPStatus(self.status).phrase
        body = ProblemBody(title, self.status, self.detail[:MAX_DETAIL], self.code)
        encoded = msgspec.json.encode(body)
        return Response(encoded, self.status, self.headers, media_type=MEDIA_TYPE)


# What any route may answer ------------------------------------------------------------------

_CHALLENGE: Final = {"www-authenticate": 'Bearer realm="livelayer"'}
_SOON: Final = {"retry-after": "2"}


def foreign_host() -> Problem:
    """The request's `Host` is no name of this server."""
    return Problem(403, "host", "this server does not go by that name: add it to allow_hosts")


def foreign_origin() -> Problem:
    """The page that asks is not on the allow-list."""
    return Problem(403, "origin", "pages of this origin may not ask: add it to allow_origins")


def refused_token(error: ViewerTokenError) -> Problem:
    """The viewer token was turned down."""
    return Problem(401, error.code, str(error), _CHALLENGE)


def no_token() -> Problem:
    """Joining needs a viewer token, and there is none."""
    detail = "joining needs a viewer token: send it as Authorization: Bearer"
    return Problem(401, "token", detail, _CHALLENGE)


def unknown_viewer() -> Problem:
    """The bearer is no viewer's key."""
    return Problem(401, "viewer", "no viewer has this key: join again", _CHALLENGE)


def not_granted(grant: str) -> Problem:
    """The viewer's token does not hold the grant."""
    return Problem(403, "grant", f"this viewer was not granted {grant!r}")


def too_large(limit: int) -> Problem:
    """The body is longer than the limit, in bytes."""
    return Problem(413, "size", f"the body is longer than {limit} bytes: shorten it")


def too_many(seconds: float) -> Problem:
    """The rate limit; the next request is served in `seconds`."""
    wait = max(1, round(seconds + 0.5))
    return Problem(429, "rate", f"too many requests: wait {wait} s", {"retry-after": str(wait)})


def unmounted() -> Problem:
    """The surface is not mounted now."""
    return Problem(503, "unmounted", "the surface is not mounted now: try again", _SOON)


def full(what: str) -> Problem:
    """There are as many as there may be."""
    return Problem(503, "full", f"there is no place for another {what}: try again later", _SOON)


def malformed_body(problem: str) -> Problem:
    """The body is not what the route takes."""
    return Problem(400, "body", problem)


def unknown_agent() -> Problem:
    """The application does not offer the agent."""
    return Problem(404, "agent", "there is no such agent here")


def unknown_command() -> Problem:
    """The command is settled, or was never this page's."""
    return Problem(404, "command", "this command is settled already, or is another page's")


def no_media() -> Problem:
    """Whoever wants to send sound or pictures has no media connection."""
    return Problem(409, "no_media", "there is no media connection that offers it: connect first")


def not_connecting(error: LivelayerError) -> Problem:
    """The session could not be connected."""
    return Problem(502, "connect", str(error))


def internal() -> Problem:
    """An error of this server's own; its text may quote the request, so it is not told."""
    return Problem(500, "internal", "this is the server's fault: it is in its log")


# Exceptions as answers ----------------------------------------------------------------------

_ROUTER: Final = {404: ("path", "there is nothing here"), 405: ("method", "not with this method")}
"""Codes of what the router itself answers."""


def problem_of(error: Exception) -> Problem | None:
    """The problem that an exception stands for; None if it is a fault of this server."""
    match error:
        case Problem():
            return error
        case ViewerTokenError():
            return refused_token(error)
        case LivelayerError():
            return _problem_of_session(error)
        case HTTPException():
            code, detail = _ROUTER.get(error.status_code, ("http", error.detail))
            return Problem(error.status_code, code, detail, error.headers)
        case _:
            return None


def _problem_of_session(error: LivelayerError) -> Problem | None:
    """What went wrong between this server and the session, or its media."""
    match error:
        case OfferError():
            return Problem(400, "sdp", str(error))
        case MalformedMessageError():
            return Problem(400, "message", str(error))
        case NotConnectedError() | ConnectionLostError():
            return Problem(409, "not_connected", "the session is not connected to its agent")
        case SourceBusyError():
            return Problem(409, "busy", f"{error.owner} holds the {error.source}")
        case MessageTooLargeError():
            return Problem(413, "size", str(error))
        case NotSupportedError():
            return Problem(501, "unsupported", str(error))
        case MediaFullError() | MediaUnavailableError():
            return Problem(503, "media", str(error), _SOON)
        case ClosedError():
            return unmounted()
        case BrokenError():
            return Problem(503, "timeout", str(error), _SOON)
        case _:
            return None


def problem_handlers() -> dict[Any, Callable[[Request, Exception], Awaitable[Response]]]:
    """The `exception_handlers` of a Starlette application that answers with problems only."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem is None:
            raise error  # a fault of ours: answered, and told, further out
        return problem.response()

    async def fault(request: Request, error: Exception) -> Response:
        return internal().response()

    kinds: tuple[type[Exception], ...] = (Problem, LivelayerError, HTTPException)
    return {**dict.fromkeys(kinds, answer), Exception: fault}
