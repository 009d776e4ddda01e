"""The four kinds of token source: a given token, two kinds of endpoint, and local keys.

httpx and livekit.api take longer to import than all of livelayer_bus, and no application uses both:
each is imported when the first source that needs it is made.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from typing import Any, final
from urllib.parse import quote

import msgspec

from .. import errors
from ..errors import ConfigError
from ..events import AgentConfig
from . import access
from .access import HTTP_SCHEMES, ROOM_SCHEMES, RoomAccess, TokenRequest, check_address, shown

SESSION_PATH = "/api/widget/session"
AGENT_CONFIG_PATH = "/api/agents/{agent_id}/config"
WIDGET_AGENT_PATH = "/api/widget/agent/{agent_id}"
"""Paths of LiveLayer's session endpoint, below its base address."""
API_KEY_HEADER = "x-api-key"

DEFAULT_TIMEOUT = 10.0  # seconds an endpoint has for its whole answer

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_RANDOM_BYTES = 9  # 12 characters: no two rooms of one server share a name


class _Source:
    """A token source with an address, which is all that its repr shows."""

    url: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({shown(self.url)!r}, ...)"


@final
class LiteralToken(_Source):
    """Access that the application already has: no request is made.

    A token that says it has expired is refused here: a rejoin fails with the true reason, not 401.

    Args:
        url: the room server, ws, wss, http or https.
        token: a LiveKit access token.

    Raises:
        ConfigError: the address or the token cannot be used.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = check_address("LiteralToken.url", url, ROOM_SCHEMES)
        _check_header_value("LiteralToken.token", token)
        self._token = token

    async def __call__(self, request: TokenRequest, /) -> RoomAccess:
        """The same access each time.

        Raises:
            RoomRefusedError: by this machine's clock the token has expired.
            NotSupportedError: it is asked for a viewer's.
        """
        _check_user(self, request)
        claims = access.read_claims(self._token)
        if claims.expires is not None and (ago := time.time() - claims.expires) >= 0:
            raise errors.RoomRefusedError(shown(self.url), f"it expired {ago:.0f} s ago")
        return RoomAccess(self.url, self._token, claims.room_name)


@dataclass(eq=False, repr=False)
class _Endpoint(_Source, ABC):
    """An HTTP endpoint that is asked anew for every connection."""

    url: str
    headers: Mapping[str, str] | None = None
    body: Mapping[str, object] | None = None
    _: KW_ONLY
    timeout: float = DEFAULT_TIMEOUT

    def __post_init__(self) -> None:
        kind = type(self).__name__
        check_address(f"{kind}.url", self.url, HTTP_SCHEMES)
        self._headers = _check_headers(f"{kind}.headers", self.headers or {})
        self._body = _check_body(f"{kind}.body", self.body or {})
        from . import http

        self._http = http

    @abstractmethod
    def _fields(self, request: TokenRequest) -> dict[str, object]:
        """The body to post."""

    async def __call__(self, request: TokenRequest, /) -> RoomAccess:
        """Access to the room asked for, to the prior one while it exists, or to a new one.

        Raises:
            TokenRefusedError: the endpoint answered 401 or 403.
            TokenSourceError: no answer, or none that can be used; `retryable` tells which.
        """
        source, body = shown(self.url), self._fields(request)
        try:
            answer = await self._http.request_json(
                "POST", self.url, headers=self._headers, body=body, timeout=self.timeout
            )
        except self._http.HttpProblem as exc:
            if exc.refused and exc.status is not None:
                hint = "check the key and headers"
                raise errors.TokenRefusedError(source, exc.status, hint) from exc
            raise errors.TokenSourceError(source, exc.reason, retryable=exc.retryable) from exc
        return access.read_access(source, answer)


@final
class SessionEndpoint(_Endpoint):
    """LiveLayer's session endpoint, or an application's own that speaks the same way.

    Posts `{"agentId": ..., **body}`, with `priorRoomName` when a session resumes; also with `role`
    for a viewer.

    Args:
        url: the whole address of the endpoint; see `at` for the one below a base address.
        api_key: sent as the header `x-api-key`.
        headers: sent as they are.
        body: further fields of the request; JSON values.
        timeout: seconds for the whole answer.

    Raises:
        ConfigError: an argument cannot be used.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        super().__init__(url, headers, body, timeout=timeout)
        if api_key is not None:
            _check_header_value("SessionEndpoint.api_key", api_key)
            self._headers[API_KEY_HEADER] = api_key

    @classmethod
    def at(
        cls,
        base_url: str,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> SessionEndpoint:
        """The endpoint of the LiveLayer installation at `base_url`.

        Raises:
            ConfigError: an argument cannot be used.
        """
        base = access.check_base("SessionEndpoint.base_url", base_url)
        return cls(f"{base}{SESSION_PATH}", api_key, headers, body, timeout=timeout)

    def _fields(self, request: TokenRequest) -> dict[str, object]:
        body: dict[str, object] = {"agentId": request.agent_id, **self._body}
        if request.prior_room_name is not None:
            body["priorRoomName"] = request.prior_room_name
        if request.role != "user":
            body["role"] = request.role
        return body


@final
@dataclass(eq=False, repr=False, kw_only=True)
class TokenEndpoint(_Endpoint):
    """LiveKit's standard token endpoint.

    Args:
        url: the whole address of the endpoint.
        headers: sent as they are; LiveKit leaves authentication to them.
        body: further fields of the request in LiveKit's names, such as `participant_name`.
        room_name, identity: what to ask for; None lets the endpoint choose.
        dispatch: True asks for the agent that is named as the session's agent id, a text for the
            agent of that name; False leaves it to agents that come by themselves.
        timeout: seconds for the whole answer.

    Raises:
        ConfigError: an argument cannot be used.
    """

    room_name: str | None = None
    identity: str | None = None
    dispatch: bool | str = False

    def _fields(self, request: TokenRequest) -> dict[str, object]:
        _check_user(self, request)  # LiveKit's standard has no viewers
        agent = _dispatched(self.dispatch, request)
        asked = {
            "room_name": self.room_name or request.prior_room_name,
            "participant_identity": self.identity,
            "room_config": {"agents": [{"agent_name": agent}]} if agent else None,
        }
        return {name: value for name, value in asked.items() if value is not None} | self._body


@final
@dataclass(eq=False, repr=False)
class LocalKeys(_Source):
    """Mints tokens with an API key and secret that this process holds: servers, tests, demos.

    Each token lets one participant join one room, publish, subscribe, send data and set its own
    attributes; nothing else. A viewer's has an identity of its own and at most 10 minutes.

    Args:
        url: the room server, ws, wss, http or https.
        api_key, api_secret: the server's API key and its secret.
        room_name: the room to join; None makes a new one for each session.
        identity: the participant's identity; None makes a new one for each token. One identity in
            two sessions of a room makes the server throw the first one out.
        name, attributes: the participant's display name and attributes.
        dispatch: True asks for the agent that is named as the session's agent id, a text for the
            agent of that name; False leaves it to agents that come by themselves.
        ttl: seconds during which the token can be used to join.

    Raises:
        ConfigError: an argument cannot be used.
    """

    url: str
    api_key: str
    api_secret: str
    _: KW_ONLY
    room_name: str | None = None
    identity: str | None = None
    name: str | None = None
    attributes: Mapping[str, str] | None = None
    dispatch: bool | str = False
    ttl: float = 900.0

    def __post_init__(self) -> None:
        check_address("LocalKeys.url", self.url, ROOM_SCHEMES)
        for where, value in (("api_key", self.api_key), ("api_secret", self.api_secret)):
            if not value:
                raise ConfigError(f"LocalKeys.{where}", "it is empty")
        if not self.ttl > 0:
            raise ConfigError("LocalKeys.ttl", f"{self.ttl:g} s is not more than nothing")
        from livekit import api

        self._api = api

    async def __call__(self, request: TokenRequest, /) -> RoomAccess:
        """Access to the room of that name, to the prior one, or to a new one."""
        room = self.room_name or request.prior_room_name or _random_name()
        grants = self._api.VideoGrants(room_join=True, room=room)
        token = self._api.AccessToken(self.api_key, self.api_secret).with_grants(grants)
        if request.role == "viewer":
            grants.hidden, grants.can_publish, grants.can_publish_data = True, False, False
            token.with_identity(_random_name()).with_ttl(timedelta(seconds=min(self.ttl, 600.0)))
            return RoomAccess(self.url, token.to_jwt(), room)
        grants.can_update_own_metadata = True
        token.with_identity(self.identity or _random_name()).with_ttl(timedelta(seconds=self.ttl))
        if self.name:
            token.with_name(self.name)
        if self.attributes:
            token.with_attributes(dict(self.attributes))
        agent = _dispatched(self.dispatch, request)
        if agent:
            dispatch = self._api.RoomAgentDispatch(agent_name=agent)
            token.with_room_config(self._api.RoomConfiguration(agents=[dispatch]))
        return RoomAccess(self.url, token.to_jwt(), room)


async def fetch_agent_config(
    base_url: str, agent_id: str, *, path: str = AGENT_CONFIG_PATH, timeout: float = DEFAULT_TIMEOUT
) -> AgentConfig:
    """The published configuration of an agent of the LiveLayer installation at `base_url`.

    Args:
        base_url, agent_id: the installation's address, and the agent.
        path: where to read it; with `WIDGET_AGENT_PATH`, what is published for widgets.
        timeout: seconds for the whole answer.

    Raises:
        ConfigError: an argument cannot be used.
        RefusedError: the server answered 401 or 403.
        BrokenError: no answer, or none that can be used; `retryable` tells which.
    """
    base = access.check_base("base_url", base_url)
    if agent_id in ("", ".", ".."):
        raise ConfigError("agent_id", f"{agent_id!r} names no agent")
    url = base + path.format(agent_id=quote(agent_id, safe=""))
    from .http import HttpProblem, request_json

    failed = f"no agent configuration from {shown(url)}"
    try:
        answer: dict[str, Any] = await request_json("GET", url, headers={}, timeout=timeout)
        return msgspec.convert(answer, AgentConfig)
    except HttpProblem as exc:
        if exc.refused:
            raise errors.RefusedError(f"{shown(url)} refused to tell: {exc.reason}") from exc
        raise errors.BrokenError(f"{failed}: {exc.reason}", retryable=exc.retryable) from exc
    except msgspec.ValidationError as exc:
        problem = f"{failed}: its answer is unusable: {exc}"
        raise errors.BrokenError(problem, retryable=False) from exc


def _dispatched(dispatch: bool | str, request: TokenRequest) -> str | None:
    if isinstance(dispatch, str):
        return dispatch
    return request.agent_id if dispatch else None


def _check_user(source: object, request: TokenRequest) -> None:
    if request.role != "user":
        raise errors.NotSupportedError("viewers", type(source).__name__)


def _check_headers(where: str, headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigError(where, f"{name!r} is not a valid header name")
        _check_header_value(f"{where}[{name!r}]", value)
    return dict(headers)


def _check_header_value(where: str, value: object) -> None:
    # The error never quotes a value: it may be a secret.
    if not isinstance(value, str) or not value:
        raise ConfigError(where, "it is empty")
    if not (value.isascii() and value.isprintable() and value == value.strip()):
        raise ConfigError(where, "it is not printable ASCII, or has spaces around it")


def _check_body(where: str, body: Mapping[str, object]) -> dict[str, object]:
    try:
        json.dumps(dict(body), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise ConfigError(where, f"it has no JSON form ({type(exc).__name__})") from exc
    return dict(body)


def _random_name() -> str:
    return f"livelayer-{secrets.token_urlsafe(_RANDOM_BYTES)}"
