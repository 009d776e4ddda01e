"""The routes of docs/protocol.md: each a function of a request and the session that it is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from livelayer_bus import LivelayerError
from livelayer_bus.errors import NotSupportedError

from .bodies import (
    AgentBody,
    AnswerBody,
    BeatBody,
    JoinBody,
    Joined,
    MessageBody,
    MutedBody,
    Owner,
)
from .http import Problem, answer_json, credential, read_body, read_json
from .media import SourceKind
from .network_policy import KEY_HEADER
from .problems import not_connecting, not_granted, unknown_agent, unknown_viewer
from .session_view import Showing
from .sources import KINDS
from .token_format import Grant
from .viewers import BEAT_SECONDS, SILENCE_SECONDS, Viewer

ShowingOf: TypeAlias = Callable[[Request], Showing]
"""Finds the session that a request is about; raises the problem if there is none now."""
Handler: TypeAlias = Callable[[Request, Showing], Awaitable[ASGIApp]]

_NOTHING: Final = 204
_ACCEPTED: Final = 202


def key_of(request: Request) -> str | None:
    """The viewer's key or token that the request carries."""
    return credential(request.headers, KEY_HEADER)


def viewer_of(request: Request, showing: Showing, grant: Grant | None = None) -> Viewer:
    """The page that asks. This counts as a sign of life.

    Raises:
        Problem: the key is not a page's, or the page was not granted `grant`.
    """
    key = key_of(request)
    viewer = showing.viewers.by_key(key) if key is not None else None
    if viewer is None:
        raise unknown_viewer()
    if grant is not None and grant not in viewer.grants:
        raise not_granted(grant)
    return viewer


# Being there ----------------------------------------------------------------------------------


async def _join(request: Request, showing: Showing) -> Response:
    body = await read_json(request, JoinBody)
    viewer, key = showing.join(key_of(request), body.previous)
    if body.page is not None:
        viewer.page = body.page.info()
    options, session = showing.options, showing.session
    joined = Joined(
        key=key,
        viewer=viewer.id,
        instance=showing.instance,
        session=session.id,
        cursor=f"{session.id}:{session.state.sequence}",
        beat_seconds=BEAT_SECONDS,
        silence_seconds=SILENCE_SECONDS,
        grants=sorted(viewer.grants),
        capabilities=sorted(session.capabilities),
        sources=list(KINDS) if "talk" in viewer.grants else [],
        agents=list(options.agents),
        max_message_bytes=options.max_message_bytes,
    )
    return answer_json(joined, 201)


async def _leave(request: Request, showing: Showing) -> Response:
    showing.viewers.leave(viewer_of(request, showing))
    return Response(status_code=_NOTHING)


async def _beat(request: Request, showing: Showing) -> Response:
    viewer = viewer_of(request, showing)
    body = await read_json(request, BeatBody)
    if body.page is not None:
        viewer.page = body.page.info()
    if body.wants is not None:
        showing.want(viewer, body.wants)
    if body.used and "talk" in viewer.grants:
        showing.use(viewer)
    return Response(status_code=_NOTHING)


async def _events(request: Request, showing: Showing) -> ASGIApp:
    viewer = viewer_of(request, showing, "watch")
    return showing.stream(viewer, request.headers.get("last-event-id") or None)


# Media ------------------------------------------------------------------------------------------


async def _whep(request: Request, showing: Showing) -> Response:
    offer = await read_body(request, "application/sdp", "sdp")
    key = key_of(request)
    viewer = showing.viewers.by_key(key) if key is not None else None
    plain = viewer is None
    if viewer is None:
        if key is not None and showing.options.tokens is None:
            raise unknown_viewer()
        viewer, _ = showing.join(key, None, silent=True)
    try:
        if "watch" not in viewer.grants:
            raise not_granted("watch")
        connection = await showing.connect_media(viewer, offer)
    except BaseException:
        if plain:
            showing.viewers.leave(viewer)
        raise
    headers = {"location": f"whep/{connection.id}"}
    return Response(connection.answer, 201, headers, media_type="application/sdp")


async def _end_whep(request: Request, showing: Showing) -> Response:
    found = showing.connection(request.path_params["connection"])
    if found is None:
        raise Problem(404, "connection", "there is no such connection, or it has ended")
    viewer, connection = found
    # A plain player has nothing but the address, which nobody can guess.
    if not viewer.silent and viewer_of(request, showing) is not viewer:
        raise not_granted("end another page's connection")
    await connection.aclose()
    return Response(status_code=_NOTHING)


async def _take(request: Request, showing: Showing) -> Response:
    viewer = viewer_of(request, showing, "talk")
    owner = await showing.sources.take(viewer, _kind_of(request))
    showing.use(viewer)
    return answer_json(Owner(owner))


async def _mute(request: Request, showing: Showing) -> Response:
    viewer = viewer_of(request, showing, "talk")
    body = await read_json(request, MutedBody)
    showing.sources.mute(viewer, _kind_of(request), body.muted)
    return Response(status_code=_NOTHING)


async def _give_back(request: Request, showing: Showing) -> Response:
    viewer = viewer_of(request, showing, "talk")
    await showing.sources.give_back(viewer, _kind_of(request))
    return Response(status_code=_NOTHING)


def _kind_of(request: Request) -> SourceKind:
    for kind in KINDS:
        if request.path_params["kind"] == kind:
            return kind
    raise Problem(404, "source", f"there is no such source: {', '.join(KINDS)}")


# Talking ----------------------------------------------------------------------------------------


async def _message(request: Request, showing: Showing) -> Response:
    viewer = viewer_of(request, showing, "talk")
    body = await read_json(request, MessageBody, "message")
    showing.use(viewer)
    await showing.messages.send(body.id, body.message)
    return Response(status_code=_ACCEPTED)


async def _answer(request: Request, showing: Showing) -> Response:
    viewer = viewer_of(request, showing, "talk")
    body = await read_json(request, AnswerBody)
    number: int = request.path_params["number"]
    await showing.pages.answer(viewer, number, body.ok, body.reason, body.replies)
    return Response(status_code=_NOTHING)


async def _connect(request: Request, showing: Showing) -> Response:
    viewer_of(request, showing, "control")
    try:
        await showing.session.connect()
    except LivelayerError as exc:
        raise not_connecting(exc) from exc
    return Response(status_code=_ACCEPTED)


async def _disconnect(request: Request, showing: Showing) -> Response:
    viewer_of(request, showing, "control")
    await showing.session.disconnect()
    return Response(status_code=_ACCEPTED)


async def _switch(request: Request, showing: Showing) -> Response:
    viewer_of(request, showing, "control")
    body = await read_json(request, AgentBody)
    if body.agent_id not in {agent.id for agent in showing.options.agents}:
        raise unknown_agent()
    try:
        await showing.session.switch_agent(body.agent_id)
    except NotSupportedError:
        raise
    except LivelayerError as exc:
        raise not_connecting(exc) from exc
    return Response(status_code=_ACCEPTED)


# The table --------------------------------------------------------------------------------------

_TABLE: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("POST", "/viewers", _join),
    ("DELETE", "/viewers/me", _leave),
    ("POST", "/viewers/me/beat", _beat),
    ("GET", "/events", _events),
    ("POST", "/whep", _whep),
    ("DELETE", "/whep/{connection}", _end_whep),
    ("PUT", "/sources/{kind}", _take),
    ("PATCH", "/sources/{kind}", _mute),
    ("DELETE", "/sources/{kind}", _give_back),
    ("POST", "/messages", _message),
    ("POST", "/commands/{number:int}", _answer),
    ("POST", "/control/connect", _connect),
    ("POST", "/control/disconnect", _disconnect),
    ("POST", "/control/agent", _switch),
)


def session_routes(showing_of: ShowingOf) -> list[Route]:
    """Every route that is about one session.

    Args:
        showing_of: finds it.
    """
    routes: dict[str, dict[str, Handler]] = {}
    for method, path, handler in _TABLE:
        routes.setdefault(path, {})[method] = handler
    return [
        Route(path, _Endpoint(handlers, showing_of), methods=list(handlers))
        for path, handlers in routes.items()
    ]


class _Endpoint:
    """An ASGI application: the handler of the request's method, for as long as the session is
    shown."""

    def __init__(self, handlers: dict[str, Handler], showing_of: ShowingOf) -> None:
        self._handlers = handlers
        self._showing_of = showing_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        handler = self._handlers.get(request.method)
        if handler is None:
            allow = {"allow": ", ".join(self._handlers)}
            raise Problem(405, "method", "not with this method", allow)
        showing = self._showing_of(request)
        response = await showing.serve(lambda: handler(request, showing))
        await response(scope, receive, send)
