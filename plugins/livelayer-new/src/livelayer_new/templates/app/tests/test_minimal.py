"""The application without a network: its room is scripted, everything else is real."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
from livelayer_app_minimal import create_app

from livelayer_bus import Session
from livelayer_bus.messages import CommandResult, Navigate
from livelayer_bus.testing import ScriptedRooms

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def rooms() -> ScriptedRooms:
    return ScriptedRooms(agent="agent")


@asynccontextmanager
async def running(rooms: ScriptedRooms) -> AsyncGenerator[tuple[httpx.AsyncClient, Session]]:
    app = create_app(lambda: Session("agt", tokens=rooms.tokens, room=rooms))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        yield client, app.state.session


async def test_the_page_has_the_elements_and_their_script(rooms: ScriptedRooms) -> None:
    async with running(rooms) as (client, _session):
        page = await client.get("/pricing")
        script = await client.get("/livelayer/js/livelayer.js")
    assert "<livelayer-session" in page.text
    assert (page.status_code, script.status_code) == (200, 200)
    assert script.headers["content-type"].startswith("text/javascript")


async def test_nothing_connects_before_a_page_asks(rooms: ScriptedRooms) -> None:
    async with running(rooms) as (client, session):
        assert (await client.get("/health")).json() == {"connection": "idle"}
        await session.connect()
        assert (await client.get("/health")).json() == {"connection": "connected"}


async def test_the_agent_hears_that_no_page_was_open(rooms: ScriptedRooms) -> None:
    async with running(rooms) as (_client, session):
        await session.connect()
        room = await rooms.next()
        room.agent_says(Navigate("/pricing"))
        result = await room.next_sent("command_result")
    assert result.message == CommandResult(
        command="navigate", ok=False, reason="failed", surface="web"
    )
