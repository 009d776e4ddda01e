"""What every request passes first, and what every answer carries."""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, final

import anyio
import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from livelayer_bus.clock import now_ns
from livelayer_bus.jsonl import utc

from .origins import Hosts, Origins, check_networks, parse_host, parse_origin, same_origin
from .problems import (
    CODE,
    Problem,
    ProblemOf,
    internal,
    problem_of,
    too_large,
    too_many,
)
from .rates import RateLimiter

logger = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; "
    "script-src 'self'; "
    "style-src 'self'; "
    "img-src 'self' https: data: blob:; "
    "media-src 'self' https: blob:; "
    "connect-src 'self'; "
    "font-src 'self'; "
    "manifest-src 'self'; "
    "base-uri 'none'; "
    "form-action 'self'; "
    "frame-ancestors 'self'"
)
"""No inline script or style. The agent's picture and idle loop may come from any https server."""

BODY_SECONDS: Final = 30.0
"""How long a request's body may take to arrive."""
LINGER_SECONDS: Final = 1.0
LINGER_BYTES: Final = 262_144
"""How much of an unread body is discarded, and for how long, so that the client reads the answer:
a connection that is closed with unread data is reset."""

_HEADERS: Final = {
    "permissions-policy": (
        "camera=(self), display-capture=(self), geolocation=(), microphone=(self), payment=(), "
        "usb=()"
    ),
    # With no-referrer, browsers would send `Origin: null` with a page's own forms.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_PREFLIGHT: Final = {
    "access-control-allow-headers": (
        "authorization, content-type, last-event-id, x-api-key, x-livelayer-key"
    ),
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
    "access-control-max-age": "600",
}
_EXPOSED: Final = "location, retry-after, x-livelayer-instance, x-request-id"
_LINE: Final = "livelayer.request"
_SHOWN: Final = 200  # characters of a path or an origin in the log


class RequestLine(msgspec.Struct, omit_defaults=True):
    """One request in the log: without query, body, token, room, or any header but the origin."""

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
    """Of the problem that it was answered with."""
    fault: str | None = None
    """The type of an exception that the application raised. Its text may quote the request."""
    place: str | None = None
    """Where the exception was raised."""


def request_line(scope: Scope) -> RequestLine:
    """The request's line in the log, to be completed while the request is served."""
    line: RequestLine = scope[_LINE]
    return line


class GuardStatistics(msgspec.Struct, frozen=True):
    """The requests that came and those that were refused."""

    requests: int
    refused: Mapping[str, int]
    """By the problem's code."""
    faults: Mapping[str, int]
    """Exceptions of the application, by type."""
    buckets: int
    """Clients whose rates are remembered; bounded."""


class RateLimits(Protocol):
    """Which rates a request counts against."""

    def buckets(self, scope: Scope) -> Iterable[tuple[RateLimiter, str]]:
        """The limiters, each with the name of the request's bucket. They are asked in order."""
        ...

    def __len__(self) -> int:
        """Buckets that are remembered."""
        ...


@final
class Guard:
    """ASGI middleware around a whole application.

    Guarantee: a request reaches `app` only if its `Host` is a name of this server, its `Origin`,
    if there is one, is this server's or allowed, and its rate is within the limits. The app reads
    at most `max_body` bytes of it. Every answer, an error's included, carries the security
    headers, unless the app sets others of the same name, and an exception of the app becomes a
    problem that quotes nothing. Answers are passed on as they are written. A connection whose
    request was answered before its body was read is
    closed. WebSockets are refused.

    Args:
        app: the application; `Guard.app` afterwards.
        origins: the origins whose pages may ask.
        limits: the rates.
        may_load: whether a page of another origin may load a public file; None: none may.
        hosts: the names of this server; None: any, and then no page counts as this server's own.
        max_body: bytes of a request.
        problem_of: turns exceptions of the app into problems.
        policy: the content security policy of answers.
        trusted_proxies: addresses and networks of reverse proxies. Their `X-Forwarded-For` and
            `X-Forwarded-Proto` replace the client's address and the scheme.
        access_log: gets one JSON line for each request; None: only faults are logged.

    Raises:
        ConfigError: an entry of `trusted_proxies` is invalid.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        origins: Origins,
        limits: RateLimits,
        may_load: Callable[[Scope, str], bool] | None = None,
        hosts: Hosts | None = None,
        max_body: int = 65_536,
        problem_of: ProblemOf = problem_of,
        policy: str = CONTENT_SECURITY_POLICY,
        trusted_proxies: Iterable[str] = (),
        access_log: logging.Logger | None = None,
    ) -> None:
        self.app = app
        self._hosts = hosts
        self._origins = origins
        self._limits = limits
        self._may_load = may_load or (lambda _scope, _origin: False)
        self._max_body = max_body
        self._problem_of = problem_of
        self._access_log = access_log
        # An image or script element sends no Origin that could be checked.
        resources = "cross-origin" if len(origins) or may_load is not None else "same-origin"
        self._headers = _HEADERS | {
            "content-security-policy": policy,
            "cross-origin-resource-policy": resources,
        }
        self._requests = 0
        self._refused: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        proxies = [str(network) for network in check_networks("trusted_proxies", trusted_proxies)]
        http: Any = self._http
        self._serve: Any = ProxyHeadersMiddleware(http, proxies) if proxies else http

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def statistics(self) -> GuardStatistics:
        """What happened so far."""
        return GuardStatistics(
            requests=self._requests,
            refused=dict(self._refused),
            faults=dict(self._faults),
            buckets=len(self._limits),
        )

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._requests += 1
        started_ns = now_ns()
        line = scope[_LINE] = _new_line(scope)
        body = _Body(receive, scope, self._max_body)
        answer = _Answer(send, body, self._headers, line)
        if self._access_log is not None:
            answer.headers = self._headers | {"x-request-id": line.id}
        try:
            self._admit(scope, answer)
            if answer.origin is not None and _is_preflight(scope):
                await Response(status_code=204, headers=_preflight(scope))(scope, body, answer)
            else:
                body.check_length()
                await self.app(scope, body, answer)
                line.code = scope.get(CODE)
        except ClientDisconnect:
            line.code, line.status = "disconnected", 499
        except Exception as exc:  # noqa: BLE001 - the last resort: logged by its type, never its text
            problem = self._problem_of(exc)
            if problem is None:
                line.fault, line.place = type(exc).__name__, _place(exc)
                self._faults[line.fault] += 1
                problem = internal()
            line.code = problem.code
            if not answer.begun:
                await problem.response()(scope, body, answer)
        finally:
            if line.code is not None and line.place is None:
                self._refused[line.code] += 1
            line.milliseconds = (now_ns() - started_ns) // 1000 / 1000
            self._log(line)

    def _admit(self, scope: Scope, answer: _Answer) -> None:
        """Raise the problem of a request that may not be served."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = parse_host(hosts[0]) if len(hosts) == 1 else None
        if self._hosts is not None and (host is None or host not in self._hosts):
            detail = "this server does not have that name: add it to allow_hosts"
            raise Problem(403, "host", detail)
        if origins := headers.getlist("origin"):
            origin = parse_origin(origins[0])
            if len(origins) == 1 and (
                self._origins.allows(origins[0]) or self._may_load(scope, origins[0])
            ):
                answer.origin = origins[0]
            elif (
                self._hosts is None
                or len(origins) > 1
                or not (origin and host and same_origin(origin, scope["scheme"], host))
            ):
                detail = "pages of this origin may not ask: add it to the allowed origins"
                raise Problem(403, "origin", detail)
        for limiter, bucket in self._limits.buckets(scope):
            if wait := limiter.take(bucket):
                raise too_many(wait)

    def _log(self, line: RequestLine) -> None:
        if self._access_log is not None:
            level = logging.ERROR if line.fault else logging.INFO
            self._access_log.log(level, "%s", msgspec.json.encode(line).decode())
        elif line.fault:
            logger.error("a %s request failed: %s in %s", line.method, line.fault, line.place)


@final
class _Answer:
    """`send`, with the headers that every answer has. It holds nothing back."""

    def __init__(
        self, send: Send, body: _Body, headers: Mapping[str, str], line: RequestLine
    ) -> None:
        self._send = send
        self._body = body
        self._line = line
        self.headers = headers
        self.origin: str | None = None
        """The allowed origin that may read the answer."""
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            self._line.status = message["status"]
            message = {**message, "headers": list(message.get("headers", ()))}
            headers = MutableHeaders(scope=message)
            for name, value in {**self.headers, "cache-control": "no-store"}.items():
                headers.setdefault(name, value)
            headers.add_vary_header("Origin")
            if self.origin is not None:
                headers["access-control-allow-origin"] = self.origin
                headers["access-control-expose-headers"] = _EXPOSED
            if await self._body.is_unread():
                headers["connection"] = "close"
        elif not message.get("more_body", False) and await self._body.is_unread():
            await self._send({**message, "more_body": True})
            await self._body.discard(LINGER_SECONDS)
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)


@final
class _Body:
    """`receive`, up to a number of bytes, whatever the request says of its length."""

    def __init__(self, receive: Receive, scope: Scope, limit: int) -> None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        self._receive = receive
        self._limit = limit
        self._read = 0
        self._length = int(length[:20]) if length.isascii() and length.isdigit() else 0
        # HTTP/2 and 3 end a request without closing its connection.
        self._closes = scope["http_version"] in ("1.0", "1.1")
        self._more = not self._closes or self._length > 0 or "transfer-encoding" in headers
        self._waits = "expect" in headers  # the client sends nothing until the body is read
        self._deadline: float | None = None

    def check_length(self) -> None:
        """Refuse at once a body whose `Content-Length` is too long."""
        if self._length > self._limit:
            raise too_large(self._limit)

    async def __call__(self) -> Message:
        if not self._more:
            return await self._receive()
        if self._deadline is None:
            self._deadline = anyio.current_time() + BODY_SECONDS
        try:
            with anyio.fail_after(self._deadline - anyio.current_time()):
                message = await self._next()
        except TimeoutError as exc:
            detail = f"the body did not arrive within {BODY_SECONDS:g} s: send it again"
            raise Problem(408, "slow", detail) from exc
        if self._read > self._limit:
            raise too_large(self._limit)
        return message

    async def is_unread(self) -> bool:
        """Whether the connection has to close: some of the body has not arrived.

        What has arrived is discarded.
        """
        if self._closes and self._more:
            await self.discard(0.0)
        return self._closes and self._more

    async def discard(self, seconds: float) -> None:
        """Read the rest of it, up to `LINGER_BYTES`, for so many seconds at most."""
        if self._waits:
            return
        limit = self._read + LINGER_BYTES
        with anyio.move_on_after(seconds):
            while self._more and self._read < limit:
                await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._waits = False
        self._read += len(message.get("body", b""))
        self._more = message.get("more_body", False)
        return message


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope)


def _preflight(scope: Scope) -> dict[str, str]:
    # A page of the public network that asks a loopback server needs one more header.
    if Headers(scope=scope).get("access-control-request-private-network") == "true":
        return _PREFLIGHT | {"access-control-allow-private-network": "true"}
    return dict(_PREFLIGHT)


def _place(error: Exception) -> str:
    found = error.__traceback__
    while found is not None and found.tb_next is not None:
        found = found.tb_next
    return f"{found.tb_frame.f_code.co_qualname}:{found.tb_lineno}" if found else "unknown"


def _new_line(scope: Scope) -> RequestLine:
    client = scope.get("client")
    origin = Headers(scope=scope).get("origin")
    return RequestLine(
        event="request",
        time=utc(now_ns()),
        id=secrets.token_hex(8),
        method=scope["method"],
        path=str(scope["path"])[:_SHOWN],
        address=client[0] if client else "",
        origin=origin[:_SHOWN] if origin is not None else None,
    )
