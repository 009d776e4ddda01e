"""A web application with an agent on its pages.

The application owns one session; `WebSurface` shows it on every page that is open. It connects when
the first page asks for it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from livelayer_web import WebSurface
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from livelayer_bus import Session

__all__ = ["create_app", "app"]

PAGE = Path(__file__).with_name("page.html")
CAPABILITIES = ["navigate", "scroll", "read_page"]
"""What the agent may do on a page."""


def new_session() -> Session:
    """The session of the agent that the endpoint knows by its id."""
    endpoint = os.environ.get("LIVELAYER_URL", "http://127.0.0.1:8787")
    return Session(os.environ.get("LIVELAYER_AGENT_ID", "demo"), base_url=endpoint)


async def page(_request: Request) -> Response:
    """The page; its elements come from the surface."""
    return FileResponse(PAGE)


async def health(request: Request) -> Response:
    """For whoever runs the application: whether the session is connected."""
    session: Session = request.app.state.session
    return JSONResponse({"connection": session.connection_state})


def create_app(make_session: Callable[[], Session] = new_session) -> Starlette:
    """The application; tests give it a session without a network."""
    surface = WebSurface(port=None)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None, None]:
        async with make_session() as session:
            session.mount(surface, key="web", capabilities=CAPABILITIES)
            app.state.session = session
            yield

    pages = [
        Route(path, page) for path in ("/", "/pricing")
    ]  # the conversation goes on across them
    routes = [*pages, Route("/health", health), Mount("/livelayer", surface.asgi)]
    return Starlette(routes=routes, lifespan=lifespan)


app = create_app()
