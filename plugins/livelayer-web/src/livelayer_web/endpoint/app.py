"""`create_app`: the session endpoint as an ASGI application."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from livelayer_bus.clock import Clock, SystemClock
from livelayer_bus.errors import ConfigError
from livelayer_bus.tokens import (
    AGENT_CONFIG_PATH,
    API_KEY_HEADER,
    HTTP_SCHEMES,
    ROOM_SCHEMES,
    SESSION_PATH,
    WIDGET_AGENT_PATH,
    DispatchMetadata,
    check_address,
)

from .. import http
from ..http.problems import CHALLENGE, SOON, too_many
from .agents import AgentDirectory, ServedAgent
from .auth import Auth, Caller
from .bodies import (
    SessionAnswer,
    SessionRequest,
    TokenAnswer,
    TokenBody,
    config_body,
    session_fields,
    widget_body,
)
from .dispatch import Dispatcher
from .openapi import DESCRIPTION_PATH, HEALTH_PATH, TOKEN_PATH, openapi
from .room_names import RoomNames
from .tokens import RESERVED, Participant, TokenIssuer

logger = logging.getLogger(__package__)

CONFIG_ROUTE: Final = AGENT_CONFIG_PATH.replace("{agent_id}", "{agent_id:path}")
WIDGET_ROUTE: Final = WIDGET_AGENT_PATH.replace("{agent_id}", "{agent_id:path}")


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoint's settings; its repr shows no secret."""

    url: str
    """The LiveKit server as clients reach it: ws, wss, http or https."""
    api_key: str
    api_secret: str
    api_url: str | None = None
    """The LiveKit server as this process reaches it; None: the same."""
    origins: tuple[str, ...] = ()
    """Pages that may ask, as `https://example.com`; `*` is every page. Requests without an origin,
    as of servers, need not be here."""
    token_seconds: float = 600.0
    """How long a token can be used to join."""
    resume_window: float = 300.0
    """Seconds that a room stays after the last person left, for people to return."""
    own_attributes: bool = False
    """Whether participants may set their own attributes, as `agent.context` needs. They can then
    change their name and metadata, too, and the attributes that the token gave them."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of reverse proxies: the client's address is then the last one in
    their `X-Forwarded-For` that is not a proxy's."""
    max_body: int = 16_384
    """Bytes of a request's body."""
    max_session: int = 2_048
    """Bytes of a request's further fields as JSON: they travel in the token."""
    address_rate: http.Rate = http.Rate(per_minute=120.0, burst=60)
    """For each address; every request counts but `GET /health`."""
    caller_rate: http.Rate = http.Rate(per_minute=600.0, burst=120)
    """For each authenticated caller."""

    def __post_init__(self) -> None:
        check_address("EndpointSettings.url", self.url, ROOM_SCHEMES)
        if self.api_url is not None:
            check_address("EndpointSettings.api_url", self.api_url, (*ROOM_SCHEMES, *HTTP_SCHEMES))
        for name in ("api_key", "api_secret"):
            if not getattr(self, name):
                raise ConfigError(f"EndpointSettings.{name}", "it is empty")
        for name in ("token_seconds", "resume_window", "max_body", "max_session"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"EndpointSettings.{name}", "it must be more than 0")

    def __repr__(self) -> str:
        return f"EndpointSettings(url={self.url!r}, ...)"


def create_app(
    settings: EndpointSettings,
    *,
    agents: Iterable[ServedAgent],
    auth: Auth,
    clock: Clock | None = None,
) -> ASGIApp:
    """The endpoint: run it with an ASGI server, or mount it in an application of your own.

    It serves `POST /api/widget/session` (LiveLayer's), `POST /api/token` (LiveKit's standard),
    `GET /api/agents/{id}/config`, `GET /api/widget/agent/{id}`, `GET /health` and
    `GET /openapi.json`.

    Guarantee: it keeps no sessions, so any number of processes with the same LiveKit secret serve
    as one. All its memory is bounded. Only the caller that a prior room was made for can return to
    it, with the same agent: while the LiveKit server still has the room, which is for
    `resume_window` seconds after the last person left; otherwise for as long after the room's name
    was issued. Any other prior room is answered with a new one.

    Args:
        settings: addresses, keys and limits.
        agents: the agents that callers may talk to.
        auth: who may ask: `ApiKeys(...)`, `anyone`, or an async function that returns a `Caller`
            for a request, or None to refuse it.
        clock: measures rates and the resume window.

    Raises:
        ConfigError: a setting or an agent is invalid.
    """
    clock = clock or SystemClock()
    endpoint = _Endpoint(settings, AgentDirectory(tuple(agents)), auth, clock)
    app = http.json_app(
        [
            Route(SESSION_PATH, endpoint.session, methods=["POST"]),
            Route(TOKEN_PATH, endpoint.token, methods=["POST"]),
            Route(CONFIG_ROUTE, endpoint.config, methods=["GET"]),
            Route(WIDGET_ROUTE, endpoint.widget, methods=["GET"]),
            Route(HEALTH_PATH, _health, methods=["GET"]),
            Route(DESCRIPTION_PATH, _describe, methods=["GET"]),
        ]
    )
    origins = [origin.removesuffix("/") for origin in settings.origins]
    return http.Guard(
        app,
        origins=http.Origins(origins, "origins", wildcard=True),
        limits=_AddressRate(http.RateLimiter(settings.address_rate, clock)),
        max_body=settings.max_body,
        trusted_proxies=settings.trusted_proxies,
        access_log=logger,
    )


@final
class _AddressRate:
    """Every request counts for its address, except a load balancer's questions for health."""

    def __init__(self, limiter: http.RateLimiter) -> None:
        self._limiter = limiter

    def __len__(self) -> int:
        return len(self._limiter)

    def buckets(self, scope: Scope) -> Iterator[tuple[http.RateLimiter, str]]:
        if scope["path"].removeprefix(scope.get("root_path", "")) != HEALTH_PATH:
            yield self._limiter, http.client_bucket(scope)


@final
class _Endpoint:
    """The requests that have an answer of their own."""

    def __init__(
        self, settings: EndpointSettings, agents: AgentDirectory, auth: Auth, clock: Clock
    ) -> None:
        self._settings = settings
        self._agents = agents
        self._auth = auth
        self._clock = clock
        # Room names carry wall time, because they outlive the process; the clock alone advances it.
        self._wall = time.time() - clock.now()
        self._callers = http.RateLimiter(settings.caller_rate, clock)
        self._names = RoomNames(settings.api_secret)
        self._issuer = TokenIssuer(
            settings.api_key,
            settings.api_secret,
            settings.token_seconds,
            settings.resume_window,
            own_attributes=settings.own_attributes,
        )
        self._dispatcher = Dispatcher(
            settings.api_url or settings.url, settings.api_key, settings.api_secret
        )

    async def config(self, request: Request) -> Response:
        """An agent's published configuration. It needs no key: the page that shows it is public."""
        return http.answer_json(config_body(self._published(request).config))

    async def widget(self, request: Request) -> Response:
        """What is published of an agent for widgets; it needs no key either."""
        return http.answer_json(widget_body(self._published(request)))

    def _published(self, request: Request) -> ServedAgent:
        agent = self._agents.get(request.path_params["agent_id"])
        if agent is None:
            raise _unknown_agent()
        http.request_line(request.scope).agent = agent.id
        return agent

    async def session(self, request: Request) -> Response:
        """LiveLayer's request for a session."""
        caller = await self._caller(request)
        wanted = await http.read_json(request, SessionRequest)
        fields = session_fields(await http.read_json(request, dict[str, Any]))
        agent = self._agent(request, caller, self._agents.get(wanted.agent_id))
        if wanted.role == "viewer":
            return http.answer_json(self._viewer(caller, agent, wanted.prior_room_name or ""))
        job = DispatchMetadata(agent.id, False, caller.id, agent.metadata, self._checked(fields))
        room, job = await self._room(request, caller, agent, job, wanted.prior_room_name)
        participant = Participant(
            room=room, identity=caller.identity or self._names.identity(room), name=caller.name
        )
        answer = SessionAnswer(
            self._settings.url,
            self._issuer.sign(participant, agent, job),
            room,
            config_body(agent.config),
        )
        return http.answer_json(answer)

    def _viewer(self, caller: Caller, agent: ServedAgent, room: str) -> SessionAnswer:
        """Access to a room that was issued to the caller: to watch, not to call an agent."""
        if self._names.issued(room, agent.id, caller.id) is None:
            detail = "priorRoomName: no room of this name was issued to this caller for this agent"
            raise http.Problem(404, "room", detail)
        token = self._issuer.sign_viewer(room)
        return SessionAnswer(self._settings.url, token, room, config_body(agent.config))

    async def token(self, request: Request) -> Response:
        """LiveKit's standard request for a token."""
        caller = await self._caller(request)
        body = await http.read_json(request, TokenBody)
        wishes = body.room_config.agents if body.room_config is not None else []
        agent = self._agents.find(wishes[0].agent_name) if wishes else self._agents.only
        if agent is None and not wishes:
            raise http.Problem(
                400, "body", "there are several agents: name one in room_config.agents"
            )
        agent = self._agent(request, caller, agent)
        session = {"metadata": wishes[0].metadata} if wishes and wishes[0].metadata else {}
        job = DispatchMetadata(agent.id, False, caller.id, agent.metadata, self._checked(session))
        asked, identity = body.room_name, caller.identity or body.participant_identity
        if asked and self._names.issued(asked, agent.id, caller.id) is None:
            room = asked if caller.may_name(asked) else self._names.own(asked, caller.id)
            # Several people share a room that was named: each needs an identity of its own.
            identity = identity or self._names.identity(self._new_room(agent, caller))
        else:
            room, job = await self._room(request, caller, agent, job, asked)
        participant = Participant(
            room=room,
            identity=identity or self._names.identity(room),
            name=caller.name or body.participant_name,
            metadata=body.participant_metadata,
            attributes=_attributes(body.participant_attributes or {}),
        )
        return http.answer_json(
            TokenAnswer(self._settings.url, self._issuer.sign(participant, agent, job))
        )

    async def _caller(self, request: Request) -> Caller:
        line = http.request_line(request.scope)
        try:
            caller = await self._auth(request)
        except Exception as exc:
            line.fault = type(exc).__name__
            detail = "the server cannot check who you are: try again"
            raise http.Problem(503, "auth_failed", detail, SOON) from exc
        if caller is None:
            detail = f"the API key is missing or wrong: send it in the header {API_KEY_HEADER}"
            raise http.Problem(401, "unauthorized", detail, CHALLENGE)
        line.caller = caller.id
        wait = self._callers.take(caller.id)
        if wait:
            raise too_many(wait)
        return caller

    def _agent(self, request: Request, caller: Caller, agent: ServedAgent | None) -> ServedAgent:
        if agent is None or not caller.may_use(agent.id):
            raise _unknown_agent()
        http.request_line(request.scope).agent = agent.id
        return agent

    def _checked(self, fields: dict[str, Any]) -> dict[str, Any]:
        if len(msgspec.json.encode(fields)) > self._settings.max_session:
            limit = self._settings.max_session
            detail = f"the further fields are longer than {limit} bytes of JSON: shorten them"
            raise http.Problem(413, "size", detail)
        return fields

    async def _room(
        self,
        request: Request,
        caller: Caller,
        agent: ServedAgent,
        job: DispatchMetadata,
        prior: str | None,
    ) -> tuple[str, DispatchMetadata]:
        """The prior or a new room, and the metadata for its agent."""
        line = http.request_line(request.scope)
        line.resumed = False
        issued = self._names.issued(prior, agent.id, caller.id) if prior else None
        if prior is None or issued is None:
            return self._new_room(agent, caller), job
        again = msgspec.structs.replace(job, resumed=True)
        there = await self._dispatcher.ensure_agent(prior, agent, again)
        if not there and self._now() - issued > self._settings.resume_window:
            return self._new_room(agent, caller), job
        line.resumed = True
        return prior, again

    def _new_room(self, agent: ServedAgent, caller: Caller) -> str:
        return self._names.new(agent.id, caller.id, self._now())

    def _now(self) -> float:
        """Seconds since 1970, by the endpoint's clock."""
        return self._wall + self._clock.now()


def _attributes(asked: Mapping[str, str]) -> Mapping[str, str]:
    for name in asked:
        if name.startswith(RESERVED):
            names = " and ".join(RESERVED)
            detail = f"participant_attributes: names with {names} are reserved"
            raise http.Problem(400, "body", detail)
    return asked


def _unknown_agent() -> http.Problem:
    """There is no such agent, or not for this caller: the answer is the same."""
    return http.Problem(404, "agent", "there is no agent of this id for this caller")


async def _health(request: Request) -> Response:
    """Whether the process serves. The LiveKit server is not checked."""
    del request
    return http.answer_json({"status": "ok"})


async def _describe(request: Request) -> Response:
    """The OpenAPI description."""
    del request
    return http.answer_json(openapi())
