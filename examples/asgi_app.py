"""One session for a whole ASGI application, in `app.state`.

A context variable that is set in the lifespan task does not reach the tasks of requests, so
`use_agent_session()` finds nothing there: enter the provider in the lifespan, keep the session in
`app.state`, and take it from `request.app.state`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from livelayer_bus import AgentSessionProvider, LiteralToken, Session


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None, None]:
    tokens = LiteralToken("ws://127.0.0.1:7880", "a token from your server")
    async with AgentSessionProvider("agt_abc123", tokens=tokens) as session:
        app.state.session = session
        yield


async def state(request: Request) -> JSONResponse:
    session: Session = request.app.state.session
    return JSONResponse(
        {"agent": session.agent_id, "connection": session.connection_state, "id": session.id}
    )


app = Starlette(routes=[Route("/state", state)], lifespan=lifespan)
