"""What every request passes first: origin, rate of its address; and what is logged of it."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from typing import Final, final
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livelayer_bus.errors import ConfigError
from livelayer_bus.jsonl import utc

from ..http.problems import ErrorBody, ErrorDetail, Problem, foreign_origin, too_many
from ..http.rates import RateLimiter, bucket_of

LOGGER: Final = logging.getLogger("livelayer_web.endpoint")
NOTES: Final = "livelayer.notes"
_METHODS: Final = "GET, POST, OPTIONS"
_HEADERS: Final = "authorization, content-type, x-api-key"
_PREFLIGHT_SECONDS: Final = 600
_SHOWN: Final = 200  # characters of a path in the log


class RequestLine(msgspec.Struct, omit_defaults=True):
    """One request in the log: no query, no header but the origin, no body, no token, no room."""

    event: str
    time: str
    id: str
    method: str
    path: str
    address: str
    status: int = 0
    milliseconds: float = 0.0
    origin: str | None = None
    caller: str | None = None
    agent: str | None = None
    resumed: bool | None = None
    code: str | None = None
    """Of the error answer."""
    fault: str | None = None
    """The kind of an error of our own; its text may quote the request and stays out."""


def notes_of(scope: Scope) -> RequestLine:
    """The request's line in the log, to be completed while it is served."""
    line: RequestLine = scope[NOTES]
    return line


def check_origins(origins: Sequence[str]) -> frozenset[str]:
    """The origins as browsers send them; `*` stands for all.

    Raises:
        ConfigError: one is no `scheme://host[:port]`.
    """
    checked: set[str] = set()
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and not (
            parts.scheme in ("http", "https")
            and parts.netloc
            and "@" not in parts.netloc
            and parts.path in ("", "/")
            and not parts.query
            and not parts.fragment
        ):
            raise ConfigError("origins", f"{origin[:80]!r} is no origin: give https://host[:port]")
        checked.add(origin.lower().rstrip("/"))
    return frozenset(checked)


def problem_response(problem: Problem) -> Response:
    """The answer that a problem becomes."""
    body = msgspec.json.encode(ErrorBody(ErrorDetail(problem.code, problem.message)))
    return Response(body, problem.status, problem.headers, media_type="application/json")


@final
class Guard:
    """ASGI middleware around the whole endpoint; every answer has a body and a line in the log."""

    def __init__(self, app: ASGIApp, *, origins: frozenset[str], limiter: RateLimiter) -> None:
        self._app = app
        self._origins = origins
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        line = scope[NOTES] = _new_line(scope)
        started = time.monotonic_ns()
        answer = _Answer(send, line, self._allowed(line.origin))
        try:
            await self._serve(scope, receive, answer)
        except ClientDisconnect:
            line.status = 499
        except Exception as exc:  # noqa: BLE001 - the last resort: told by its kind, never its text
            line.fault = type(exc).__name__
            if not answer.begun:
                problem = Problem(500, "internal", "this is the endpoint's fault: it is logged")
                await self._refuse(problem, scope, receive, answer)
        finally:
            line.milliseconds = (time.monotonic_ns() - started) // 1000 / 1000
            level = logging.ERROR if line.fault else logging.INFO
            LOGGER.log(level, "%s", msgspec.json.encode(line).decode())

    async def _serve(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        line = notes_of(scope)
        if line.origin is not None and not self._allowed(line.origin):
            await self._refuse(foreign_origin(), scope, receive, answer)
            return
        wait = self._limiter.take(bucket_of(line.address))
        if wait:
            await self._refuse(too_many(wait), scope, receive, answer)
            return
        asked = Headers(scope=scope).get("access-control-request-method")
        if scope["method"] == "OPTIONS" and asked is not None and line.origin is not None:
            await _preflight()(scope, receive, answer)
            return
        try:
            await self._app(scope, receive, answer)
        except Problem as problem:
            await self._refuse(problem, scope, receive, answer)

    async def _refuse(
        self, problem: Problem, scope: Scope, receive: Receive, answer: _Answer
    ) -> None:
        notes_of(scope).code = problem.code
        await problem_response(problem)(scope, receive, answer)

    def _allowed(self, origin: str | None) -> str | None:
        """The origin, if its pages may read the answer."""
        if origin is None:
            return None
        return origin if "*" in self._origins or origin.lower() in self._origins else None


@final
class _Answer:
    """`send`, with the headers every answer has."""

    def __init__(self, send: Send, line: RequestLine, origin: str | None) -> None:
        self._send = send
        self._line = line
        self._origin = origin
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            self._line.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._line.id
            headers["x-content-type-options"] = "nosniff"
            headers.setdefault("cache-control", "no-store")
            headers.add_vary_header("origin")
            if self._origin is not None:
                headers["access-control-allow-origin"] = self._origin
                headers["access-control-expose-headers"] = "retry-after, x-request-id"
        await self._send(message)


def _preflight() -> Response:
    headers = {
        "access-control-allow-methods": _METHODS,
        "access-control-allow-headers": _HEADERS,
        "access-control-max-age": str(_PREFLIGHT_SECONDS),
    }
    return Response(status_code=204, headers=headers)


def _new_line(scope: Scope) -> RequestLine:
    client = scope.get("client")
    origin = Headers(scope=scope).get("origin")
    return RequestLine(
        event="request",
        time=utc(time.monotonic_ns()),
        id=secrets.token_hex(8),
        method=scope["method"],
        path=str(scope["path"])[:_SHOWN],
        address=client[0] if client else "",
        origin=origin[:_SHOWN] if origin is not None else None,
    )
