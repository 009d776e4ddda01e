"""What every request passes first, and every answer carries: who may ask, how much, how often."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Final, Literal, TypeAlias, final

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livelayer_bus.clock import Clock, SystemClock

from .endpoint import Rate, RateLimiter, bucket_of
from .origins import Hosts, Origins, parse_host, parse_origin, same_origin
from .problems import foreign_host, foreign_origin, internal, problem_of, too_large, too_many

LOGGER: Final = logging.getLogger("livelayer_web.guard")

Kind: TypeAlias = Literal["join", "message", "other"]

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
"""No inline script or style; the agent's picture and idle loop may come from anywhere on https."""

_HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "permissions-policy": (
        "camera=(self), display-capture=(self), geolocation=(), microphone=(self), payment=(), "
        "usb=()"
    ),
    # With no-referrer, browsers would send `Origin: null` with a page's own forms.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_PREFLIGHT: Final = {
    "access-control-allow-headers": "authorization, content-type, last-event-id",
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
    "access-control-max-age": "600",
}
_EXPOSED: Final = "location, retry-after"
_JOINS: Final = frozenset({"viewers", "sessions"})
_BEARER: Final = "bearer "


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Who may ask, how much and how often; a name or rate that cannot be is a `MisuseError`."""

    hosts: Sequence[str] = ()
    """Names of this server besides the loopback's: `name` for any port, or `name:port`."""
    origins: Sequence[str] = ()
    """Other origins whose pages may ask: `scheme://host[:port]`. Behind a proxy that adds TLS, the
    server's own outer origin is one of these."""
    max_body: int = 65_536
    """Bytes of a request."""
    joins: Rate = Rate(per_minute=120, burst=60)
    """Joining, and opening sessions; an address."""
    messages: Rate = Rate(per_minute=120, burst=30)
    """Messages to the agent; a viewer."""
    everything: Rate = Rate(per_minute=6000, burst=1000)
    """Any request; a viewer, and an address for those who are none."""


class GuardStatistics(msgspec.Struct, frozen=True):
    """What came and what was turned away."""

    requests: int
    refused: Mapping[str, int]
    """By the problem's code; those refused further inside are not in here."""
    faults: Mapping[str, int]
    """Errors of our own, by kind."""
    buckets: int
    """Addresses and viewers whose rates are remembered; bounded."""


@final
class Guard:
    """ASGI middleware around every route.

    Guarantee: a request reaches `app` only if its `Host` is a name of this server, its `Origin`,
    if there is one, is this server's or allowed, and its rate is within the policy; the app reads
    no more than `max_body` bytes of it. Every answer, an error's included, carries the security
    headers, and an error that the app raised becomes a problem that quotes nothing. Answers are
    passed on as they are written. WebSockets are refused.

    Args:
        app: what is guarded; `Guard.app` afterwards.
        policy: what is allowed.
        clock: for the rates.
        is_viewer: whether a bearer is a viewer's key. Who has one is counted by it, everybody else
            by address (an IPv6 /64 is one); without it, all are counted by address.

    Raises:
        MisuseError: a host or an origin of the policy is none.
    """

    def __init__(
        self,
        app: ASGIApp,
        policy: Policy,
        *,
        clock: Clock | None = None,
        is_viewer: Callable[[str], bool] | None = None,
    ) -> None:
        self.app = app
        self._hosts = Hosts(policy.hosts)
        self._origins = Origins(policy.origins)
        self._max_body = policy.max_body
        self._is_viewer = is_viewer
        clock = clock or SystemClock()
        self._limiters: dict[Kind, RateLimiter] = {
            "join": RateLimiter(policy.joins, clock),
            "message": RateLimiter(policy.messages, clock),
            "other": RateLimiter(policy.everything, clock),
        }
        # What is embedded by a plain element carries no Origin that could be told apart.
        resources = "cross-origin" if len(self._origins) else "same-origin"
        self._headers = _HEADERS | {"cross-origin-resource-policy": resources}
        self._requests = 0
        self._refused: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def statistics(self) -> GuardStatistics:
        """What happened so far."""
        return GuardStatistics(
            requests=self._requests,
            refused=dict(self._refused),
            faults=dict(self._faults),
            buckets=sum(len(limiter) for limiter in self._limiters.values()),
        )

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._requests += 1
        answer = _Answer(send, self._headers)
        body = _Body(receive, self._max_body)
        try:
            self._admit(scope, answer)
            if answer.origin is not None and _is_preflight(scope):
                await Response(status_code=204, headers=_preflight(scope))(scope, body, answer)
                return
            body.check_length(scope)
            await self.app(scope, body, answer)
        except ClientDisconnect:
            self._refused["disconnected"] += 1
        except Exception as exc:  # noqa: BLE001 - the last resort: told by its kind, never its text
            problem = problem_of(exc)
            if problem is None:
                self._tell(exc, scope)
                problem = internal()
            else:
                self._refused[problem.code] += 1
                LOGGER.debug("%s request refused: %s", scope["method"], problem.code)
            if not answer.begun:
                await problem.response()(scope, receive, answer)

    def _admit(self, scope: Scope, answer: _Answer) -> None:
        """Raise the problem of a request that may not be served."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = parse_host(hosts[0]) if len(hosts) == 1 else None
        if host is None or host not in self._hosts:
            raise foreign_host()
        if sources := headers.getlist("origin"):
            origin = parse_origin(sources[0]) if len(sources) == 1 else None
            if origin is None:
                raise foreign_origin()
            if origin in self._origins:
                answer.origin = sources[0]
            elif not same_origin(origin, scope["scheme"], host):
                raise foreign_origin()
        name = self._bucket(scope, headers)
        kind = _kind_of(scope)
        # Everybody joins by address: a viewer's key must not open the door to any number more.
        wait = self._limiters["other"].take(name)
        if not wait and kind != "other":
            wait = self._limiters[kind].take(_address(scope) if kind == "join" else name)
        if wait:
            raise too_many(wait)

    def _bucket(self, scope: Scope, headers: Headers) -> str:
        bearer = headers.get("authorization", "")
        if self._is_viewer is not None and bearer[: len(_BEARER)].lower() == _BEARER:
            key = bearer[len(_BEARER) :].strip()
            if self._is_viewer(key):
                return f"viewer {blake2b(key.encode(), digest_size=16).hexdigest()}"
        return _address(scope)

    def _tell(self, error: Exception, scope: Scope) -> None:
        kind = type(error).__name__
        self._faults[kind] += 1
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{place.tb_frame.f_code.co_qualname}:{place.tb_lineno}" if place else "nowhere"
        LOGGER.error("a %s request failed: %s in %s", scope["method"], kind, where)


@final
class _Answer:
    """`send`, with the headers that every answer has; nothing is held back."""

    def __init__(self, send: Send, headers: Mapping[str, str]) -> None:
        self._send = send
        self._headers = headers
        self.origin: str | None = None
        """The allowed origin that may read the answer."""
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            message = {**message, "headers": list(message.get("headers", ()))}
            headers = MutableHeaders(scope=message)
            headers.update(self._headers)
            headers.setdefault("cache-control", "no-store")
            headers.add_vary_header("Origin")
            if self.origin is not None:
                headers["access-control-allow-origin"] = self.origin
                headers["access-control-expose-headers"] = _EXPOSED
        await self._send(message)


@final
class _Body:
    """`receive`, up to a number of bytes, whatever the request says of its length."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._read = 0

    def check_length(self, scope: Scope) -> None:
        """Refuse at once what says itself that it is too long."""
        length = Headers(scope=scope).get("content-length", "")
        if length.isascii() and length.isdigit() and int(length[:20]) > self._limit:
            raise too_large(self._limit)

    async def __call__(self) -> Message:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        if self._read > self._limit:
            raise too_large(self._limit)
        return message


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope)


def _preflight(scope: Scope) -> dict[str, str]:
    # A page of the public network that asks a loopback server needs a word more.
    if Headers(scope=scope).get("access-control-request-private-network") == "true":
        return _PREFLIGHT | {"access-control-allow-private-network": "true"}
    return dict(_PREFLIGHT)


def _kind_of(scope: Scope) -> Kind:
    if scope["method"] != "POST":
        return "other"
    last = scope["path"].rstrip("/").rpartition("/")[2]
    if last in _JOINS:
        return "join"
    return "message" if last == "messages" else "other"


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return bucket_of(client[0] if client else "")
