"""An application with a session and a web surface in each process that a server starts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from livelayer_web import SessionsOnDemand, WebSurface
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

from livelayer_bus import Session
from livelayer_bus.testing import ScriptedRooms

PAGE = """<!doctype html><html lang="en"><title>Workers</title>
<script type="module" src="livelayer/js/livelayer.js"></script>
<livelayer-session><livelayer-avatar mode="embedded"></livelayer-avatar></livelayer-session>"""

rooms = ScriptedRooms(agent="agent")


def own(agent: str) -> Session:
    return Session(agent, tokens=rooms.tokens, room=rooms)


surface = WebSurface(port=None, sessions=SessionsOnDemand(own, agents=["own"], linger=60.0))


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncGenerator[None, None]:
    async with own("agt") as session:
        session.mount(surface, key="web")
        yield


async def page(_request: Request) -> Response:
    return HTMLResponse(PAGE)


app = Starlette(routes=[Route("/", page), Mount("/livelayer", surface.asgi)], lifespan=lifespan)
