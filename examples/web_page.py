"""A session on the pages of an application of your own: its login says who may join.

The web surface is mounted into a Starlette application (a FastAPI one takes it the same way). A
page gets a viewer token from the application, good for one page and one minute, and its
`<livelayer-session>` element asks for it when it joins. Who is not logged in gets none, and who
logs out loses the pages that are open.

    livelayer serve --open                  # the session endpoint, and a server for rooms
    python examples/agent_worker.py dev     # the agent; serve prints its environment
    uvicorn examples.web_page:app
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from livelayer_web import ViewerTokens, WebSurface
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from livelayer_bus import AgentSessionProvider

ENDPOINT = os.environ.get("LIVELAYER_URL", "http://127.0.0.1:8787")
PAGE = Path(__file__).with_name("web_page.html")
PASSWORDS = {"ada": "analytical engine"}  # yours are hashed, and elsewhere
COOKIE = "who"

tokens = ViewerTokens(secrets.token_urlsafe(32))
surface = WebSurface(port=None, tokens=tokens)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None, None]:
    async with AgentSessionProvider("demo", base_url=ENDPOINT) as session:
        session.mount(surface, key="web", capabilities=["navigate", "scroll", "read_page"])
        app.state.session = session
        app.state.logins = dict[str, list[str]]()  # the viewer tokens of each login
        yield


def logged_in(request: Request) -> list[str]:
    found: list[str] | None = request.app.state.logins.get(request.cookies.get(COOKIE, ""))
    if found is None:
        raise HTTPException(401, "log in first")
    return found


async def page(_request: Request) -> Response:
    return FileResponse(PAGE)


async def login(request: Request) -> Response:
    given = await request.json()
    expected = PASSWORDS.get(given["name"], secrets.token_urlsafe())
    if not secrets.compare_digest(given["password"], expected):
        raise HTTPException(401, "wrong name or password")
    key = secrets.token_urlsafe(32)
    request.app.state.logins[key] = []
    answer = Response(status_code=204)
    answer.set_cookie(COOKIE, key, httponly=True, samesite="strict")  # and secure=True, with TLS
    return answer


async def logout(request: Request) -> Response:
    for token_id in logged_in(request):
        tokens.revoke(token_id)  # and the page that it let in is ended
    del request.app.state.logins[request.cookies[COOKIE]]
    return Response(status_code=204)


async def viewer_token(request: Request) -> Response:
    """A token for one page; the page fetches it, so that it is in no address and in no log."""
    issued = logged_in(request)
    token = surface.token(["watch", "talk", "control"])
    issued.append(tokens.token_id(token))
    return JSONResponse({"token": token}, headers={"cache-control": "no-store"})


app = Starlette(
    routes=[
        Route("/", page),
        Route("/login", login, methods=["POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/viewer-token", viewer_token, methods=["POST"]),
        Mount("/livelayer", surface.asgi),
    ],
    lifespan=lifespan,
)
