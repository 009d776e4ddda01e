"""The page that is there when the application gives none, in a real browser."""

from __future__ import annotations

import pytest
from livelayer_web import WebSurface
from playwright.async_api import Page, expect

from livelayer_bus import Session
from livelayer_bus.testing import ScriptedRooms

pytestmark = pytest.mark.anyio


async def test_it_shows_the_agent_and_keeps_to_its_own_policy(page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    rooms = ScriptedRooms(agent="agent")
    async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
        surface = WebSurface(port=0)
        session.mount(surface, key="web")
        await page.goto(await surface.wait_url())
        await expect(page.locator("livelayer-avatar")).to_be_visible()
        await page.wait_for_function(
            "document.querySelector('livelayer-session').client?.link.phase === 'live'"
        )
        [info] = surface.viewers()
        assert info.page is not None
        assert info.page.title == "livelayer"
        await page.goto("about:blank")
    faults = [text for text in complaints if text.startswith("error") or ":" not in text]
    assert faults == []
