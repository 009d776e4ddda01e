"""`create_app`: the session endpoint as an ASGI application."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from livelayer_bus.clock import Clock, SystemClock
from livelayer_bus.errors import ConfigError
from livelayer_bus.tokens import HTTP_SCHEMES, ROOM_SCHEMES, DispatchMetadata, check_address

from ..http.problems import (
    STATUS_CODES,
    Problem,
    auth_failed,
    bad_request,
    too_many,
    unauthorized,
    unknown_agent,
)
from ..http.rates import Rate, RateLimiter
from .agents import AgentDirectory, ServedAgent
from .auth import Auth, Caller
from .bodies import (
    SessionAnswer,
    SessionRequest,
    TokenAnswer,
    TokenBody,
    config_body,
    convert,
    read_object,
    session_body,
)
from .dispatch import Dispatcher
from .guard import Guard, check_origins, notes_of, problem_response
from .openapi import openapi
from .room_names import RoomNames
from .tokens import RESERVED, Guest, Mint

SESSION_PATH: Final = "/api/widget/session"
TOKEN_PATH: Final = "/api/token"  # noqa: S105 - a path
CONFIG_PATH: Final = "/api/agents/{agent_id:path}/config"


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the endpoint is run with; its repr shows no secret."""

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
    """For how long a token can be used to join."""
    resume_window: float = 300.0
    """Seconds during which a room waits for people to come back, after the last one left."""
    max_body: int = 16_384
    """Bytes of a request's body."""
    max_session: int = 2_048
    """Bytes of a request's further fields as JSON: they travel in the token."""
    address_rate: Rate = Rate(per_minute=120.0, burst=60)
    """For each address; every request counts."""
    caller_rate: Rate = Rate(per_minute=600.0, burst=120)
    """For each caller that was let in."""

    def __post_init__(self) -> None:
        check_address("EndpointSettings.url", self.url, ROOM_SCHEMES)
        if self.api_url is not None:
            check_address("EndpointSettings.api_url", self.api_url, (*ROOM_SCHEMES, *HTTP_SCHEMES))
        for name in ("api_key", "api_secret"):
            if not getattr(self, name):
                raise ConfigError(f"EndpointSettings.{name}", "it is empty")
        for name in ("token_seconds", "resume_window", "max_body", "max_session"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"EndpointSettings.{name}", "it must be more than nothing")

    def __repr__(self) -> str:
        return f"EndpointSettings(url={self.url!r}, ...)"


def create_app(
    settings: EndpointSettings,
    *,
    agents: Iterable[ServedAgent],
    auth: Auth,
    clock: Clock | None = None,
) -> Starlette:
    """The endpoint: run it with an ASGI server, or mount it in an application of your own.

    It serves `POST /api/widget/session` (LiveLayer's), `POST /api/token` (LiveKit's standard),
    `GET /api/agents/{id}/config`, `GET /health` and `GET /openapi.json`.

    Guarantee: it keeps no sessions, so any number of processes with the same LiveKit secret serve
    as one; all its memory is bounded. A prior room is returned to only by the caller it was made
    for and only with its agent; while the LiveKit server still has it, which is for `resume_window`
    seconds after the last person left, or, if the server does not, for as long after the name was
    given. Any other prior room is answered with a new one.

    Args:
        settings: addresses, keys and limits.
        agents: who can be talked to.
        auth: who may ask: `ApiKeys(...)`, `anyone`, or an async function of the application's own
            that gives a `Caller` for a request, or None.
        clock: time for rates and for the resume window.

    Raises:
        ConfigError: a setting or an agent cannot be used.
    """
    clock = clock or SystemClock()
    endpoint = _Endpoint(settings, AgentDirectory(tuple(agents)), auth, clock)
    guard = Middleware(
        Guard,
        origins=check_origins(settings.origins),
        limiter=RateLimiter(settings.address_rate, clock),
    )
    return Starlette(
        routes=[
            Route(SESSION_PATH, endpoint.session, methods=["POST"]),
            Route(TOKEN_PATH, endpoint.token, methods=["POST"]),
            Route(CONFIG_PATH, endpoint.config, methods=["GET"]),
            Route("/health", _health, methods=["GET"]),
            Route("/openapi.json", _describe, methods=["GET"]),
        ],
        middleware=[guard],
        exception_handlers={HTTPException: _refused_by_router},
    )


@final
class _Endpoint:
    """The three requests that give something."""

    def __init__(
        self, settings: EndpointSettings, agents: AgentDirectory, auth: Auth, clock: Clock
    ) -> None:
        self._settings = settings
        self._agents = agents
        self._auth = auth
        self._clock = clock
        # Names carry wall time, for they outlive the process; from here on the clock alone counts.
        self._wall = time.time() - clock.now()
        self._callers = RateLimiter(settings.caller_rate, clock)
        self._names = RoomNames(settings.api_secret)
        self._mint = Mint(
            settings.api_key, settings.api_secret, settings.token_seconds, settings.resume_window
        )
        self._dispatcher = Dispatcher(
            settings.api_url or settings.url, settings.api_key, settings.api_secret
        )

    async def config(self, request: Request) -> Response:
        """An agent's published configuration; public, as the page that shows it is."""
        agent = self._agents.get(request.path_params["agent_id"])
        if agent is None:
            raise unknown_agent()
        notes_of(request.scope).agent = agent.id
        return _json(config_body(agent.config))

    async def session(self, request: Request) -> Response:
        """LiveLayer's request for a session."""
        caller = await self._caller(request)
        body = await read_object(request, self._settings.max_body)
        wanted = convert(body, SessionRequest)
        agent = self._agent(request, caller, self._agents.get(wanted.agent_id))
        job = DispatchMetadata(
            agent.id, False, caller.id, agent.metadata, self._further(session_body(body))
        )
        room, job = await self._room(request, caller, agent, job, wanted.prior_room_name)
        guest = Guest(
            room=room, identity=caller.identity or self._names.identity(room), name=caller.name
        )
        answer = SessionAnswer(
            self._settings.url,
            self._mint.sign(guest, agent, job),
            room,
            config_body(agent.config),
        )
        return _json(answer)

    async def token(self, request: Request) -> Response:
        """LiveKit's standard request for a token."""
        caller = await self._caller(request)
        body = convert(await read_object(request, self._settings.max_body), TokenBody)
        wishes = body.room_config.agents if body.room_config is not None else []
        agent = self._agents.find(wishes[0].agent_name) if wishes else self._agents.only
        if agent is None and not wishes:
            raise bad_request("there are several agents: name one in room_config.agents")
        agent = self._agent(request, caller, agent)
        session = {"metadata": wishes[0].metadata} if wishes and wishes[0].metadata else {}
        job = DispatchMetadata(agent.id, False, caller.id, agent.metadata, self._further(session))
        asked, identity = body.room_name, caller.identity or body.participant_identity
        if asked and self._names.issued(asked, agent.id, caller.id) is None:
            room = asked if caller.may_name(asked) else self._names.own(asked, caller.id)
            # People meet in a room that was named: each is somebody else.
            identity = identity or self._names.identity(self._new_room(agent, caller))
        else:
            room, job = await self._room(request, caller, agent, job, asked)
        guest = Guest(
            room=room,
            identity=identity or self._names.identity(room),
            name=caller.name or body.participant_name,
            metadata=body.participant_metadata,
            attributes=_attributes(body.participant_attributes or {}),
        )
        return _json(TokenAnswer(self._settings.url, self._mint.sign(guest, agent, job)))

    async def _caller(self, request: Request) -> Caller:
        notes = notes_of(request.scope)
        try:
            caller = await self._auth(request)
        except Exception as exc:
            notes.fault = type(exc).__name__
            raise auth_failed() from exc
        if caller is None:
            raise unauthorized()
        notes.caller = caller.id
        wait = self._callers.take(caller.id)
        if wait:
            raise too_many(wait)
        return caller

    def _agent(self, request: Request, caller: Caller, agent: ServedAgent | None) -> ServedAgent:
        if agent is None or not caller.may_use(agent.id):
            raise unknown_agent()
        notes_of(request.scope).agent = agent.id
        return agent

    def _further(self, fields: dict[str, Any]) -> dict[str, Any]:
        if len(msgspec.json.encode(fields)) > self._settings.max_session:
            limit = self._settings.max_session
            message = f"the further fields are longer than {limit} bytes of JSON: shorten them"
            raise Problem(413, "too_large", message)
        return fields

    async def _room(
        self,
        request: Request,
        caller: Caller,
        agent: ServedAgent,
        job: DispatchMetadata,
        prior: str | None,
    ) -> tuple[str, DispatchMetadata]:
        """The room, prior or new, and what its agent is told."""
        notes = notes_of(request.scope)
        notes.resumed = False
        issued = self._names.issued(prior, agent.id, caller.id) if prior else None
        if prior is None or issued is None:
            return self._new_room(agent, caller), job
        again = msgspec.structs.replace(job, resumed=True)
        there = await self._dispatcher.ensure_agent(prior, agent, again)
        if not there and self._now() - issued > self._settings.resume_window:
            return self._new_room(agent, caller), job
        notes.resumed = True
        return prior, again

    def _new_room(self, agent: ServedAgent, caller: Caller) -> str:
        return self._names.new(agent.id, caller.id, self._now())

    def _now(self) -> float:
        """Seconds since 1970, by the endpoint's clock."""
        return self._wall + self._clock.now()


def _attributes(asked: Mapping[str, str]) -> Mapping[str, str]:
    for name in asked:
        if name.startswith(RESERVED):
            raise bad_request(f"participant_attributes: names with {RESERVED[0]} are LiveKit's own")
    return asked


def _json(body: object) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")


async def _health(request: Request) -> Response:
    """Whether the process serves; the LiveKit server is not asked."""
    del request
    return _json({"status": "ok"})


async def _describe(request: Request) -> Response:
    """The OpenAPI description."""
    del request
    return _json(openapi())


async def _refused_by_router(request: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 400
    code = STATUS_CODES.get(status, "bad_request")
    headers = dict(exc.headers or {}) if isinstance(exc, HTTPException) else {}
    notes_of(request.scope).code = code
    return problem_response(Problem(status, code, "the endpoint serves no such request", headers))
