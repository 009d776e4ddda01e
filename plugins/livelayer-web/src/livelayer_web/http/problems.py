"""What the endpoint answers when it gives no token: a status, a code for programs, a sentence."""

from __future__ import annotations

from typing import Final

import msgspec


class ErrorDetail(msgspec.Struct, frozen=True):
    """Why a request was not served; no secret and nothing of the request is in it."""

    code: str
    """For programs: stays the same from release to release."""
    message: str
    """For people: what is wrong, and what to do."""


class ErrorBody(msgspec.Struct, frozen=True):
    """The JSON body of every answer that is no success."""

    error: ErrorDetail


class Problem(Exception):
    """Ends a request with an error answer; never leaves the endpoint."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def bad_request(message: str) -> Problem:
    """The body is not what the endpoint takes."""
    return Problem(400, "bad_request", message)


def unauthorized() -> Problem:
    """No key, a wrong one, or the application's own check said no."""
    challenge = {"www-authenticate": 'Bearer realm="livelayer"'}
    message = "the API key is missing or wrong: send it in the header x-api-key"
    return Problem(401, "unauthorized", message, challenge)


def auth_failed() -> Problem:
    """The application's own check raised an error instead of answering."""
    message = "it cannot be found out who you are: try again"
    return Problem(503, "auth_failed", message, {"retry-after": "2"})


def unknown_agent() -> Problem:
    """There is no such agent, or not for this caller: the two are not told apart."""
    return Problem(404, "unknown_agent", "there is no agent of this id for this caller")


def too_large(limit: int) -> Problem:
    """The body is longer than the limit, in bytes."""
    return Problem(413, "too_large", f"the body is longer than {limit} bytes: shorten it")


def too_many(seconds: float) -> Problem:
    """The rate limit; the next request is served in `seconds`."""
    wait = max(1, round(seconds + 0.5))
    message = f"too many requests: wait {wait} s"
    return Problem(429, "rate_limited", message, {"retry-after": str(wait)})


def foreign_origin() -> Problem:
    """The page that asks is not on the allow-list."""
    message = "pages of this origin may not ask: add it to the endpoint's origins"
    return Problem(403, "origin_refused", message)


def unreachable() -> Problem:
    """The LiveKit server did not answer; the same request may succeed later."""
    message = "the LiveKit server cannot be reached: try again"
    return Problem(503, "server_unreachable", message, {"retry-after": "2"})


STATUS_CODES: Final = {404: "not_found", 405: "method_not_allowed"}
"""Codes of what the router itself answers."""
