"""The web surface as an ASGI application: routes, sessions on demand, files, a site."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from .assets import site_files, static_files
from .bodies import AgentBody, Opened
from .http import answer_json, json_app, read_json
from .problems import no_token, problem_of, unmounted
from .routes import key_of, session_routes
from .session_pool import SessionPool
from .session_view import SessionView
from .tokens import ViewerTokens

BASE: Final = "/livelayer"
"""The surface's path on a server of its own."""


def surface_app(
    view: Callable[[], SessionView | None], pool: SessionPool | None, tokens: ViewerTokens | None
) -> Starlette:
    """Every route of docs/protocol.md, to be mounted at a base path.

    Args:
        view: returns the view of the mounted session; None while none is mounted.
        pool: the sessions on demand, if the application has them.
        tokens: verifies pages; None: every page may join.
    """

    def mounted(request: Request) -> SessionView:
        found = view()
        if found is None:
            raise unmounted()
        return found

    routes: list[BaseRoute] = [*session_routes(mounted), Mount("/js", static_files())]
    if pool is not None:
        routes += _pool_routes(pool, tokens)
    return json_app(routes, problem_of)


def site_app(surface: Starlette, site: Path) -> Starlette:
    """The surface at `/livelayer`, and a site around it.

    Raises:
        MisuseError: the site's folder does not exist.
    """
    return json_app([Mount(BASE, surface), Mount("/", site_files(site))], problem_of)


def _pool_routes(pool: SessionPool, tokens: ViewerTokens | None) -> list[BaseRoute]:
    async def open_session(request: Request) -> Response:
        body = await read_json(request, AgentBody)
        pool.check(body.agent_id)
        if tokens is None:
            name, _ = await pool.open(body.agent_id, None)
            return answer_json(Opened(f"sessions/{name}"), 201)
        token = key_of(request)
        if token is None:
            raise no_token()
        claims = tokens.verify(token, f"agent:{body.agent_id}")
        name, session_id = await pool.open(body.agent_id, claims.token_id)
        fresh = tokens.issue(session_id, claims.grants)
        return answer_json(Opened(f"sessions/{name}", fresh), 201)

    def opened(request: Request) -> SessionView:
        return pool.find(request.path_params["session"])

    inner: ASGIApp = json_app([*session_routes(opened), Mount("/js", static_files())], problem_of)
    return [
        Route("/sessions", open_session, methods=["POST"]),
        Mount("/sessions/{session}", inner),
    ]
