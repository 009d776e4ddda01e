"""The routes of docs/protocol.md: functions of a request and a session view."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from livelayer_bus import LivelayerError
from livelayer_bus.errors import NotSupportedError
from livelayer_bus.events import TranscriptEntry

from .bodies import (
    AgentBody,
    AnswerBody,
    BeatBody,
    Earlier,
    EarlierBody,
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
from .session_view import SessionView
from .sources import KINDS
from .token_format import Grant
from .viewers import BEAT_SECONDS, SILENCE_SECONDS, Viewer

ViewOf: TypeAlias = Callable[[Request], SessionView]
"""Finds the session view of a request; raises a problem if there is none."""
Handler: TypeAlias = Callable[[Request, SessionView], Awaitable[ASGIApp]]

_NOTHING: Final = 204
_ACCEPTED: Final = 202


def key_of(request: Request) -> str | None:
    """The viewer's key or token that the request carries."""
    return credential(request.headers, KEY_HEADER)


def viewer_of(request: Request, view: SessionView, grant: Grant | None = None) -> Viewer:
    """The page that asks. This counts as a sign of life.

    Raises:
        Problem: the key is not a page's, or the page was not granted `grant`.
    """
    key = key_of(request)
    viewer = view.viewers.by_key(key) if key is not None else None
    if viewer is None:
        raise unknown_viewer()
    if grant is not None and grant not in viewer.grants:
        raise not_granted(grant)
    return viewer


# Being there ----------------------------------------------------------------------------------


async def _join(request: Request, view: SessionView) -> Response:
    body = await read_json(request, JoinBody)
    viewer, key = view.join(key_of(request), body.previous)
    if body.page is not None:
        viewer.page = body.page.info()
    options, session = view.options, view.session
    joined = Joined(
        key=key,
        viewer=viewer.id,
        instance=view.instance,
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


async def _leave(request: Request, view: SessionView) -> Response:
    view.viewers.leave(viewer_of(request, view))
    return Response(status_code=_NOTHING)


async def _beat(request: Request, view: SessionView) -> Response:
    viewer = viewer_of(request, view)
    body = await read_json(request, BeatBody)
    if body.page is not None:
        viewer.page = body.page.info()
    if body.wants is not None:
        view.want(viewer, body.wants)
    if body.used and "talk" in viewer.grants:
        view.use(viewer)
    return Response(status_code=_NOTHING)


async def _events(request: Request, view: SessionView) -> ASGIApp:
    viewer = viewer_of(request, view, "watch")
    return view.stream(viewer, request.headers.get("last-event-id") or None)


async def _earlier(request: Request, view: SessionView) -> Response:
    viewer_of(request, view, "watch")
    body = await read_json(request, EarlierBody)
    before = TranscriptEntry(body.id, "user", "", True, body.opened, sender=body.sender)
    return answer_json(Earlier(await view.session.earlier_transcript(before)))


# Media ------------------------------------------------------------------------------------------


async def _whep(request: Request, view: SessionView) -> Response:
    offer = await read_body(request, "application/sdp", "sdp")
    key = key_of(request)
    viewer = view.viewers.by_key(key) if key is not None else None
    plain = viewer is None
    if viewer is None:
        if key is not None and view.options.tokens is None:
            raise unknown_viewer()
        viewer, _ = view.join(key, None, silent=True)
    try:
        if "watch" not in viewer.grants:
            raise not_granted("watch")
        connection = await view.connect_media(viewer, offer)
    except BaseException:
        if plain:
            view.viewers.leave(viewer)
        raise
    headers = {"location": f"whep/{connection.id}"}
    return Response(connection.answer, 201, headers, media_type="application/sdp")


async def _end_whep(request: Request, view: SessionView) -> Response:
    found = view.connection(request.path_params["connection"])
    if found is None:
        raise Problem(404, "connection", "there is no such connection, or it has ended")
    viewer, connection = found
    # A plain player has only the address, which cannot be guessed.
    if not viewer.silent and viewer_of(request, view) is not viewer:
        raise not_granted("end another page's connection")
    await connection.aclose()
    return Response(status_code=_NOTHING)


async def _take(request: Request, view: SessionView) -> Response:
    viewer = viewer_of(request, view, "talk")
    owner = await view.sources.take(viewer, _kind_of(request))
    view.use(viewer)
    return answer_json(Owner(owner))


async def _mute(request: Request, view: SessionView) -> Response:
    viewer = viewer_of(request, view, "talk")
    body = await read_json(request, MutedBody)
    view.sources.mute(viewer, _kind_of(request), body.muted)
    return Response(status_code=_NOTHING)


async def _give_back(request: Request, view: SessionView) -> Response:
    viewer = viewer_of(request, view, "talk")
    await view.sources.give_back(viewer, _kind_of(request))
    return Response(status_code=_NOTHING)


def _kind_of(request: Request) -> SourceKind:
    for kind in KINDS:
        if request.path_params["kind"] == kind:
            return kind
    raise Problem(404, "source", f"there is no such source: {', '.join(KINDS)}")


# Talking ----------------------------------------------------------------------------------------


async def _message(request: Request, view: SessionView) -> Response:
    viewer = viewer_of(request, view, "talk")
    body = await read_json(request, MessageBody, "message")
    view.use(viewer)
    await view.messages.send(body.id, body.message)
    return Response(status_code=_ACCEPTED)


async def _answer(request: Request, view: SessionView) -> Response:
    viewer = viewer_of(request, view, "talk")
    body = await read_json(request, AnswerBody)
    number: int = request.path_params["number"]
    await view.pages.answer(viewer, number, body.ok, body.reason, body.replies)
    return Response(status_code=_NOTHING)


async def _connect(request: Request, view: SessionView) -> Response:
    viewer_of(request, view, "control")
    try:
        await view.session.connect()
    except LivelayerError as exc:
        raise not_connecting(exc) from exc
    return Response(status_code=_ACCEPTED)


async def _disconnect(request: Request, view: SessionView) -> Response:
    viewer_of(request, view, "control")
    await view.session.disconnect()
    return Response(status_code=_ACCEPTED)


async def _switch(request: Request, view: SessionView) -> Response:
    viewer_of(request, view, "control")
    body = await read_json(request, AgentBody)
    if body.agent_id not in {agent.id for agent in view.options.agents}:
        raise unknown_agent()
    try:
        await view.session.switch_agent(body.agent_id)
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
    ("POST", "/transcript", _earlier),
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


def session_routes(view_of: ViewOf) -> list[Route]:
    """Every route of one session.

    Args:
        view_of: finds its view.
    """
    routes: dict[str, dict[str, Handler]] = {}
    for method, path, handler in _TABLE:
        routes.setdefault(path, {})[method] = handler
    return [
        Route(path, _Endpoint(handlers, view_of), methods=list(handlers))
        for path, handlers in routes.items()
    ]


class _Endpoint:
    """An ASGI application: the handler of the request's method. It ends with the session view."""

    def __init__(self, handlers: dict[str, Handler], view_of: ViewOf) -> None:
        self._handlers = handlers
        self._view_of = view_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        handler = self._handlers.get(request.method)
        if handler is None:
            allow = {"allow": ", ".join(self._handlers)}
            raise Problem(405, "method", "not with this method", allow)
        view = self._view_of(request)
        response = await view.serve(lambda: handler(request, view))
        await response(scope, receive, send)
