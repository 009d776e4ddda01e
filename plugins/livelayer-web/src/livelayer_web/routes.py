"""The web surface as an ASGI application: the routes of docs/protocol.md, files, a site."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from livelayer_bus import LivelayerError
from livelayer_bus.errors import NotSupportedError, RefusedError, TokenSourceError
from livelayer_bus.events import TranscriptEntry

from . import bodies, problems
from .assets import site_files, static_files
from .embedding import Embedding
from .http import Problem, answer_json, credential, json_app, read_body, read_json, read_query
from .media import KINDS, SourceKind
from .network_policy import KEY_HEADER
from .permissions import check_message, require
from .session_pool import SessionPool
from .session_view import SessionView
from .token_format import Grant
from .tokens import ViewerTokens
from .viewers import BEAT_SECONDS, SILENCE_SECONDS, Viewer
from .workers import check_process, check_turns

ViewOf: TypeAlias = Callable[[Request], SessionView]
"""Finds the session view of a request; raises a problem if there is none."""
Handler: TypeAlias = Callable[[Request, SessionView], Awaitable[ASGIApp]]
PageHandler: TypeAlias = Callable[[Request, SessionView, Viewer], Awaitable[ASGIApp | None]]

BASE: Final = "/livelayer"
"""The surface's path on a server of its own."""

_ACCEPTED: Final = 202


def key_of(request: Request) -> str | None:
    """The viewer's key or token that the request carries."""
    return credential(request.headers, KEY_HEADER)


def viewer_of(request: Request, view: SessionView, grant: Grant | None = None) -> Viewer:
    """The page that asks. This counts as a sign of life.

    Raises:
        Problem: the key is not a page's, or a sibling process's, or the page was not granted
            `grant`.
    """
    key = key_of(request)
    viewer = view.viewers.by_key(key) if key is not None else None
    if viewer is None:
        check_process([key])
        raise problems.unknown_viewer(view.instance)
    if grant is not None and grant not in viewer.grants:
        raise problems.not_granted(grant)
    return viewer


def _of_page(handler: PageHandler, grant: Grant | None = None, status: int = 204) -> Handler:
    """Handles requests of a page that has joined, and was granted `grant`.

    Without an answer of its own, the answer is `status`.
    """

    async def handle(request: Request, view: SessionView) -> ASGIApp:
        answer = await handler(request, view, viewer_of(request, view, grant))
        return answer if answer is not None else Response(status_code=status)

    return handle


# Being there ----------------------------------------------------------------------------------


async def _join(request: Request, view: SessionView) -> Response:
    body = await read_json(request, bodies.JoinBody)
    bearer = key_of(request)
    check_process([body.previous, bearer])
    check_turns(body.instances, view.instance)
    viewer, key = view.join(bearer, body.previous)
    if body.page is not None:
        viewer.page = body.page
    options, session = view.options, view.session
    joined = bodies.Joined(
        key=key,
        viewer=viewer.id,
        instance=view.instance,
        session=session.id,
        cursor=f"{session.id}:{session.state.sequence}",
        beat_seconds=BEAT_SECONDS,
        silence_seconds=SILENCE_SECONDS,
        grants=sorted(viewer.grants),
        capabilities=sorted(session.capabilities),
        sources=[kind for kind in KINDS if kind in view.allowed(viewer)],
        typing="typing" in view.allowed(viewer),
        agents=list(options.agents),
        max_message_bytes=options.max_message_bytes,
        media=options.media.mode,
        ice_servers=view.media.servers_for(viewer.id) if "watch" in viewer.grants else [],
        share=view.share(viewer),
    )
    return answer_json(joined, 201)


async def _leave(request: Request, view: SessionView, viewer: Viewer) -> None:
    view.viewers.leave(viewer)


async def _beat(request: Request, view: SessionView, viewer: Viewer) -> None:
    body = await read_json(request, bodies.BeatBody)
    if body.page is not None:
        viewer.page = body.page
    if body.wants is not None:
        view.want(viewer, body.wants)
    if body.used and "talk" in viewer.grants:
        view.use(viewer)


async def _describe(request: Request, view: SessionView, viewer: Viewer) -> None:
    body = await read_json(request, bodies.PageBody)
    viewer.context = body.page
    view.describe()


async def _events(request: Request, view: SessionView, viewer: Viewer) -> ASGIApp:
    query = read_query(request, bodies.EventsQuery)
    return view.stream(
        viewer, request.headers.get("last-event-id") or None, query.wait, query.carrier
    )


async def _doubt(request: Request, view: SessionView, viewer: Viewer) -> None:
    view.viewers.doubt(viewer, request.path_params["viewer"])


async def _earlier(request: Request, view: SessionView, _: Viewer) -> Response:
    body = await read_json(request, bodies.EarlierBody)
    before = TranscriptEntry(body.id, "user", "", True, body.opened, sender=body.sender)
    return answer_json(bodies.Earlier(await view.session.earlier_transcript(before)))


# Media ------------------------------------------------------------------------------------------


async def _whep(request: Request, view: SessionView) -> Response:
    offer = await read_body(request, "application/sdp", "sdp")
    key = key_of(request)
    viewer = view.viewers.by_key(key) if key is not None else None
    plain = viewer is None
    if viewer is None:
        if key is not None and view.options.tokens is None:
            check_process([key])
            raise problems.unknown_viewer(view.instance)
        viewer, _ = view.join(key, None, silent=True)
    try:
        if "watch" not in viewer.grants:
            raise problems.not_granted("watch")
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
        raise problems.not_granted("end another page's connection")
    await connection.aclose()
    return Response(status_code=204)


async def _room(request: Request, view: SessionView, _: Viewer) -> Response | None:
    settings, session = view.options.media, view.session
    if settings.mode == "whep":
        raise NotSupportedError("viewers", "this surface")
    body = await read_json(request, bodies.RoomBody)
    if body.known is not None:
        if body.known != session.room_name:
            raise problems.moved()
        return None
    try:
        access = await session.viewer_access()
    except NotSupportedError as exc:
        if settings.mode == "sfu":
            session.report_problem(f"pages cannot watch through the LiveKit server: {exc}")
        raise
    except (TokenSourceError, RefusedError) as exc:
        session.report_problem(f"pages get no access to the room: {exc}")
        raise problems.no_room() from exc
    url = settings.livekit_url or access.url
    return answer_json(bodies.RoomAnswer(url, access.token, access.room_name or ""))


async def _take(request: Request, view: SessionView, viewer: Viewer) -> Response:
    kind = _kind_of(request)
    require(kind, view.allowed(viewer))
    owner = await view.sources.take(viewer, kind)
    view.use(viewer)
    return answer_json(bodies.Owner(owner))


async def _mute(request: Request, view: SessionView, viewer: Viewer) -> None:
    body = await read_json(request, bodies.MutedBody)
    view.sources.mute(viewer, _kind_of(request), body.muted)


async def _give_back(request: Request, view: SessionView, viewer: Viewer) -> None:
    await view.sources.give_back(viewer, _kind_of(request))


def _kind_of(request: Request) -> SourceKind:
    for kind in KINDS:
        if request.path_params["kind"] == kind:
            return kind
    raise Problem(404, "source", f"there is no such source: {', '.join(KINDS)}")


# Talking ----------------------------------------------------------------------------------------


async def _message(request: Request, view: SessionView, viewer: Viewer) -> None:
    body = await read_json(request, bodies.MessageBody, "message")
    check_message(body.message, view.allowed(viewer))
    view.use(viewer)
    await view.messages.send(body.id, body.message)


async def _answer(request: Request, view: SessionView, viewer: Viewer) -> None:
    body = await read_json(request, bodies.AnswerBody)
    for reply in body.replies:
        check_message(reply, view.allowed(viewer))
    number: int = request.path_params["number"]
    await view.pages.answer(viewer, number, body.ok, body.reason, body.replies)


async def _interrupt(request: Request, view: SessionView, viewer: Viewer) -> None:
    view.use(viewer)
    await view.session.interrupt()


async def _approve(request: Request, view: SessionView, viewer: Viewer) -> None:
    body = await read_json(request, bodies.ApprovalBody)
    if "ask_approval" not in view.session.capabilities:
        raise problems.not_granted("ask_approval")
    view.use(viewer)
    number: int = request.path_params["number"]
    if not await view.session.answer_approval(number, approved=body.approved):
        raise problems.settled()


async def _connect(request: Request, view: SessionView, viewer: Viewer) -> None:
    try:
        await view.session.connect()
    except LivelayerError as exc:
        raise problems.not_connecting(exc) from exc


async def _disconnect(request: Request, view: SessionView, viewer: Viewer) -> None:
    await view.session.disconnect()


async def _switch(request: Request, view: SessionView, viewer: Viewer) -> None:
    body = await read_json(request, bodies.AgentBody)
    if body.agent_id not in {agent.id for agent in view.options.agents}:
        raise problems.unknown_agent()
    try:
        await view.session.switch_agent(body.agent_id)
    except NotSupportedError:
        raise
    except LivelayerError as exc:
        raise problems.not_connecting(exc) from exc


async def _control_replay(request: Request, view: SessionView, viewer: Viewer) -> None:
    body = await read_json(request, bodies.ReplayBody)
    view.control_replay(body.position, body.speed, body.paused)


# The table --------------------------------------------------------------------------------------

_TABLE: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("POST", "/viewers", _join),
    ("DELETE", "/viewers/me", _of_page(_leave)),
    ("POST", "/viewers/me/beat", _of_page(_beat)),
    ("PUT", "/viewers/me/page", _of_page(_describe, "talk")),
    ("GET", "/events", _of_page(_events, "watch")),
    ("DELETE", "/events/{viewer}", _of_page(_doubt, "watch")),
    ("POST", "/transcript", _of_page(_earlier, "watch")),
    ("POST", "/room", _of_page(_room, "watch")),
    ("POST", "/whep", _whep),
    ("DELETE", "/whep/{connection}", _end_whep),
    ("PUT", "/sources/{kind}", _of_page(_take, "talk")),
    ("PATCH", "/sources/{kind}", _of_page(_mute, "talk")),
    ("DELETE", "/sources/{kind}", _of_page(_give_back, "talk")),
    ("POST", "/messages", _of_page(_message, "talk", _ACCEPTED)),
    ("POST", "/commands/{number:int}", _of_page(_answer, "talk")),
    ("POST", "/interrupt", _of_page(_interrupt, "talk", _ACCEPTED)),
    ("POST", "/approvals/{number:int}", _of_page(_approve, "talk")),
    ("POST", "/control/connect", _of_page(_connect, "control", _ACCEPTED)),
    ("POST", "/control/disconnect", _of_page(_disconnect, "control", _ACCEPTED)),
    ("POST", "/control/agent", _of_page(_switch, "control", _ACCEPTED)),
    ("POST", "/control/replay", _of_page(_control_replay, "control")),
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


# The applications -------------------------------------------------------------------------------


def surface_app(
    view: Callable[[], SessionView | None],
    pool: SessionPool | None,
    tokens: ViewerTokens | None,
    embedding: Embedding,
) -> Starlette:
    """Every route of docs/protocol.md, to be mounted at a base path.

    Args:
        view: returns the view of the mounted session; None while none is mounted.
        pool: the sessions on demand, if the application has them.
        tokens: verifies pages; None: every page may join.
        embedding: the page that other sites show in a frame.
    """

    def mounted(request: Request) -> SessionView:
        found = view()
        if found is None:
            raise problems.unmounted()
        return found

    routes: list[BaseRoute] = [
        *session_routes(mounted),
        Route("/embed", embedding.page, methods=["GET"]),
        Mount("/js", static_files()),
    ]
    if pool is not None:
        routes += _pool_routes(pool, tokens)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None, None]:
        yield
        if pool is not None:
            await pool.aclose()

    return json_app(routes, problems.problem_of, lifespan)


def below(root_path: str, app: ASGIApp) -> ASGIApp:
    """The application at a path that a proxy adds, whether the proxy strips it again or not."""

    async def rooted(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path != root_path and not path.startswith(f"{root_path}/"):
            path = root_path + path  # ASGI: the path has the root path in it
        await app({**scope, "root_path": root_path, "path": path}, receive, send)

    return rooted if root_path else app


def site_app(surface: Starlette, site: Path) -> Starlette:
    """The surface at `/livelayer`, and a site around it.

    Raises:
        MisuseError: the site's folder does not exist.
    """
    return json_app([Mount(BASE, surface), Mount("/", site_files(site))], problems.problem_of)


def _pool_routes(pool: SessionPool, tokens: ViewerTokens | None) -> list[BaseRoute]:
    async def open_session(request: Request) -> Response:
        body = await read_json(request, bodies.AgentBody)
        pool.check(body.agent_id)
        if tokens is None:
            name, _ = await pool.open(body.agent_id, None)
            return answer_json(bodies.Opened(f"sessions/{name}"), 201)
        token = key_of(request)
        if token is None:
            raise problems.no_token()
        claims = tokens.verify(token, f"agent:{body.agent_id}")
        name, session_id = await pool.open(body.agent_id, claims.token_id)
        fresh = tokens.issue(session_id, claims.grants)
        return answer_json(bodies.Opened(f"sessions/{name}", fresh), 201)

    def opened(request: Request) -> SessionView:
        return pool.find(request.path_params["session"])

    inner: ASGIApp = json_app(
        [*session_routes(opened), Mount("/js", static_files())], problems.problem_of
    )
    return [
        Route("/sessions", open_session, methods=["POST"]),
        Mount("/sessions/{session}", inner),
    ]
