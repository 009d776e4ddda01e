"""Error answers: a status, a code for programs and a sentence for people, as problem+json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Lifespan

from livelayer_bus.errors import LivelayerError

MEDIA_TYPE: Final = "application/problem+json"
MAX_DETAIL: Final = 500  # characters


class ProblemBody(msgspec.Struct, frozen=True):
    """The JSON body of every error answer."""

    title: str
    status: int
    detail: str
    code: str
    type: str = "about:blank"


class Problem(Exception):
    """Ends a request with an error answer.

    Guarantee: the answer contains at most 500 characters of `detail`, and nothing else of the
    request.

    Args:
        status: the HTTP status.
        code: for programs; the same from release to release.
        detail: for people: what is wrong, and what to do. It must not contain a secret.
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

CHALLENGE: Final = {"www-authenticate": 'Bearer realm="livelayer"'}
SOON: Final = {"retry-after": "2"}


def too_large(limit: int) -> Problem:
    """The body is longer than the limit, in bytes."""
    return Problem(413, "size", f"the body is longer than {limit} bytes: shorten it")


def too_many(seconds: float) -> Problem:
    """The rate limit; the next request is served in `seconds`."""
    wait = max(1, round(seconds + 0.5))
    return Problem(429, "rate", f"too many requests: wait {wait} s", {"retry-after": str(wait)})


def internal() -> Problem:
    """A fault of this server. The exception's text may quote the request, so it is left out."""
    return Problem(500, "internal", "this is the server's fault: see its log")


# Exceptions as answers ----------------------------------------------------------------------

ProblemOf: TypeAlias = Callable[[Exception], Problem | None]
"""The problem that an exception stands for; None if it is a fault of this server."""

CODE: Final = "livelayer.problem"
"""Key of a request's scope: the code of the problem that it was answered with."""

_ROUTER: Final = {404: ("path", "there is nothing here"), 405: ("method", "not with this method")}
"""Codes of what the router itself answers."""


def problem_of(error: Exception) -> Problem | None:
    """The problem of an exception that any application may raise."""
    match error:
        case Problem():
            return error
        case HTTPException():
            code, detail = _ROUTER.get(error.status_code, ("http", error.detail))
            return Problem(error.status_code, code, detail, error.headers)
        case _:
            return None


def json_app(
    routes: Sequence[BaseRoute],
    problem_of: ProblemOf = problem_of,
    lifespan: Lifespan[Starlette] | None = None,
) -> Starlette:
    """An application whose error answers are problems, and which never redirects.

    Args:
        routes: its routes.
        problem_of: turns what routes raise into problems. Anything else is answered with
            `500 internal` and raised, for the guard to log.
        lifespan: run by the server, if it runs one.
    """

    async def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem is None:
            raise error
        request.scope[CODE] = problem.code
        return problem.response()

    async def fault(request: Request, error: Exception) -> Response:
        return internal().response()

    kinds: tuple[type[Exception], ...] = (Problem, LivelayerError, HTTPException)
    handlers: dict[Any, Any] = {**dict.fromkeys(kinds, answer), Exception: fault}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    # A redirect would lead to an address made of the request's own Host.
    app.router.redirect_slashes = False
    return app
