"""Twirp over HTTP: protobuf or JSON bodies in and out, errors as JSON `{code, msg}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from ..auth import Access, TokenAuthority
from ..errors import AccessDeniedError, ServerRequestError

_PROTOBUF = "application/protobuf"
_JSON = "application/json"
_STATUS = {
    "invalid_argument": 400,
    "malformed": 400,
    "unauthenticated": 401,
    "permission_denied": 403,
    "bad_route": 404,
    "not_found": 404,
    "already_exists": 409,
    "failed_precondition": 412,
    "resource_exhausted": 429,
    "internal": 500,
    "unimplemented": 501,
    "unavailable": 503,
}


Grant = Literal["room_admin", "room_create", "room_list"]


@dataclass(frozen=True)
class Method:
    """One method: the message it takes, what it does, and the grant that it needs.

    "room_admin" is needed for the very room that the request names. `call` may raise
    `ServerRequestError`, whose code and problem are the answer.
    """

    request: Callable[[], Message]
    call: Callable[[Any], Message]
    grant: Grant = "room_admin"


class Twirp:
    """The `/twirp/<service>/<method>` routes of some services, by their full names."""

    def __init__(
        self, authority: TokenAuthority, services: Mapping[str, Mapping[str, Method]]
    ) -> None:
        self._authority = authority
        self._services = services

    def routes(self) -> list[web.RouteDef]:
        """The one route that serves all methods."""
        return [web.route("*", "/twirp/{service}/{method}", self._serve)]

    async def _serve(self, request: web.Request) -> web.Response:
        try:
            return self._answer(request, await request.read())
        except AccessDeniedError as exc:
            return _error("unauthenticated", exc.reason)
        except ServerRequestError as exc:
            return _error(exc.code, exc.problem)
        except web.HTTPRequestEntityTooLarge:
            return _error("resource_exhausted", "the request body is too large")

    def _answer(self, request: web.Request, body: bytes) -> web.Response:
        method = self._method(request)
        access = self._authority.access(request)
        as_json = request.content_type == _JSON
        if not as_json and request.content_type != _PROTOBUF:
            raise ServerRequestError(
                "bad_route", f"unexpected Content-Type {request.content_type!r}"
            )
        message = method.request()
        try:
            if as_json:
                json_format.Parse(body, message, ignore_unknown_fields=True)
            else:
                message.ParseFromString(body)
        except (DecodeError, json_format.ParseError, UnicodeDecodeError) as exc:
            raise ServerRequestError("malformed", "the request body cannot be decoded") from exc
        _require(access, method.grant, message)
        answer = method.call(message)
        if as_json:
            text = json_format.MessageToJson(
                answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
            return web.Response(text=text, content_type=_JSON)
        return web.Response(body=answer.SerializeToString(), content_type=_PROTOBUF)

    def _method(self, request: web.Request) -> Method:
        service = self._services.get(request.match_info["service"])
        if service is None:
            raise ServerRequestError(
                "unimplemented",
                f"the embedded server has no {request.match_info['service']}; "
                f"it has {', '.join(self._services)}",
            )
        method = service.get(request.match_info["method"])
        if method is None:
            raise ServerRequestError("bad_route", f"no handler for path {request.path!r}")
        if request.method != "POST":
            raise ServerRequestError(
                "bad_route", f"unsupported method {request.method!r} (only POST is allowed)"
            )
        return method


def _require(access: Access, grant: Grant, request: Any) -> None:
    if not getattr(access.video, grant):
        raise AccessDeniedError(f"permissions denied: {grant} is needed")
    if grant == "room_admin" and access.video.room != request.room:
        raise AccessDeniedError("permissions denied: room_admin of that room is needed")


def _error(code: str, problem: str) -> web.Response:
    return web.json_response({"code": code, "msg": problem}, status=_STATUS.get(code, 500))
