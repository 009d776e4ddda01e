"""An avatar that names an agent opens a session of its own, which ends after its last viewer."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from livelayer_web import SessionsOnDemand, WebSurface
from playwright.async_api import BrowserContext

from livelayer_bus import RoomAccess, Session
from livelayer_bus.testing import PATIENCE
from livelayer_bus.tokens import TokenRequest

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LINGER = 10.0  # seconds; longer than a slow machine keeps a viewer from asking


@pytest.fixture
async def opened() -> list[Session]:
    """The sessions that pages opened, in order."""
    return []


@pytest.fixture
async def surface(stage: Any, site: Any, opened: list[Session]) -> AsyncGenerator[WebSurface]:
    """Serves sessions on demand with the stage's agent, beside the session of the stage.

    They outlast every reload, however slow the machine is. A test names it before its tabs, so
    that it outlives them.
    """
    async with serving(stage, site, opened) as surface:
        yield surface


@asynccontextmanager
async def serving(
    stage: Any, site: Any, opened: list[Session], port: int = 0, linger: float = PATIENCE
) -> AsyncGenerator[WebSurface]:
    server, room = stage.shown.server, stage.shown.room

    async def tokens(_request: TokenRequest) -> RoomAccess:
        return RoomAccess(server.url, server.token(f"person-{uuid.uuid4().hex[:8]}", room), room)

    @asynccontextmanager
    async def open_session(agent_id: str) -> AsyncGenerator[Session]:
        async with Session(agent_id, tokens=tokens) as session:
            opened.append(session)
            yield session

    wish = SessionsOnDemand(open_session, agents=["helper"], linger=linger, linger_silent=linger)
    surface = WebSurface(port=port, site=site, sessions=wish)
    mounted = stage.session.mount(surface, key="alone", on_fault="raise")
    await surface.wait_url()
    try:
        yield surface
    finally:
        await mounted.unmount()
    await mounted.wait()  # it has not failed


async def test_an_avatar_alone_opens_a_session_that_lasts_over_a_reload(
    stage: Any, surface: Any, tabs: Any, context: BrowserContext, opened: list[Session]
) -> None:
    tab = await tabs.open(context, f"{surface.url}/alone")
    assert opened == []  # a page that is only looked at opens nothing
    await tab.page.evaluate("void document.querySelector('#panel').connect()")
    await tab.playing("panel")
    (session,) = opened
    assert session.agent_id == "helper"
    assert session.state.connection_state == "connected"
    assert session.id != stage.session.id
    assert await tab.peers() == 1
    assert await tab.page.evaluate("seen.sounds().length") == 1

    await tab.page.reload()
    await tab.playing("panel")
    assert opened == [session]
    await tabs.look(tab)


async def test_each_avatar_alone_has_a_session_of_its_own_that_ends_with_its_viewers(
    stage: Any, tabs: Any, context: BrowserContext, site: Any, opened: list[Session]
) -> None:
    async with serving(stage, site, opened, linger=LINGER) as surface:
        tab, other = [await tabs.open(context, f"{surface.url}/alone") for _ in range(2)]
        for one in (tab, other):
            await one.page.evaluate("void document.querySelector('#panel').connect()")
            await one.playing("panel")
        assert len(opened) == 2
        await tabs.look(other)
        await other.page.close()
        await stage.eventually(lambda: opened[1].state.connection_state != "connected")
        assert opened[0].state.connection_state == "connected"
        await tab.playing("panel")

        await tabs.look(tab)
        await tab.page.goto("about:blank")
        await stage.eventually(lambda: opened[0].state.connection_state != "connected")

        def over() -> bool:
            pool = surface.statistics().sessions
            return pool is not None and (pool.open, pool.failed) == (0, 0)

        await stage.eventually(over)


async def test_a_session_that_is_over_is_told_and_another_is_opened_when_asked(
    stage: Any, surface: Any, tabs: Any, context: BrowserContext, opened: list[Session]
) -> None:
    tabs.cut = True
    tab = await tabs.open(context, f"{surface.url}/alone")
    await tab.page.evaluate("void document.querySelector('#panel').connect()")
    await tab.playing("panel")
    await opened[0].aclose()
    await tab.until("client.link.phase === 'ended'")
    assert await tab.peers() == 1
    await tab.page.evaluate("void document.querySelector('#panel').connect()")
    await tab.playing("panel")
    assert len(opened) == 2
    await tabs.look(tab)
    # The surface is unmounted with this one open.


async def test_a_server_that_ends_in_good_order_and_comes_back_is_followed_by_a_session_of_its_own(
    stage: Any, tabs: Any, context: BrowserContext, site: Any, opened: list[Session]
) -> None:
    tabs.cut = True
    async with serving(stage, site, opened) as surface:
        assert surface.url is not None
        port = int(surface.url.rpartition(":")[2])
        tab = await tabs.open(context, f"{surface.url}/alone")
        await tab.page.evaluate("void document.querySelector('#panel').connect()")
        await tab.playing("panel")
    await tab.until("client.link.phase === 'recovering'")
    assert opened[0].state.connection_state != "connected"
    async with serving(stage, site, opened, port):
        await stage.eventually(lambda: len(opened) == 2 and opened[1].state.joined)  # unasked
        await tab.playing("panel")
        await tabs.look(tab)


async def test_a_conversation_that_was_ended_is_not_begun_again_by_a_reload(
    surface: Any, tabs: Any, context: BrowserContext, opened: list[Session]
) -> None:
    tab = await tabs.open(context, f"{surface.url}/alone")
    panel = tab.page.locator("#panel")
    await panel.evaluate("(panel) => void panel.connect()")
    await tab.playing("panel")

    await panel.get_by_role("button", name="Options").click()
    await panel.get_by_role("button", name="End conversation").click()
    await tab.until("client.state.connection_state === 'disconnected'")
    assert (
        await tab.page.evaluate("Object.keys(sessionStorage).filter(k => k.startsWith('ll-alone'))")
        == []
    )

    await tab.page.reload()
    await tab.until("document.querySelector('#panel').matches(':defined')")
    assert await tab.page.locator("livelayer-session").count() == 0
    assert len(opened) == 1
    await tabs.look(tab)
