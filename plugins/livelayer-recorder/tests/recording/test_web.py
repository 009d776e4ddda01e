"""A page that shows a replay has a bar, which controls it."""

from __future__ import annotations

from pathlib import Path

import pytest
from livelayer_recorder import ReplayRoom
from livelayer_web import WebSurface
from playwright.async_api import Browser, expect

from livelayer_bus import Session
from livelayer_bus.testing import PATIENCE, polled

pytestmark = pytest.mark.anyio

WELCOME = Path(__file__).parent.parent / "recordings" / "welcome"


async def test_a_page_controls_the_replay_and_sees_what_others_do(browser: Browser) -> None:
    replay = ReplayRoom(WELCOME, paused=True)

    async with Session(replay.agent_id, room=replay) as session:
        surface = WebSurface(port=0)
        session.mount(surface, key="web")
        await session.connect()
        page = await browser.new_page()
        await page.goto(await surface.wait_url())
        slider = page.get_by_role("slider", name="Position")
        await expect(slider).to_be_visible(timeout=1000 * PATIENCE)
        # A recording hears no one: the page has nothing to talk or to write with.
        await expect(page.get_by_role("button", name="Microphone")).to_have_count(0)
        await expect(page.get_by_role("textbox")).to_have_count(0)
        await slider.fill("6.5")
        await polled(lambda: replay.position == 6.5)
        await page.get_by_role("combobox", name="Speed").select_option("4")
        await polled(lambda: replay.speed == 4)
        await page.get_by_role("button", name="Play", exact=True).click()
        await polled(lambda: not replay.paused)
        await expect(page.get_by_text("Lumi").first).to_be_visible(timeout=1000 * PATIENCE)
        replay.pause()
        replay.seek(2.0)
        await expect(slider).to_have_attribute(
            "aria-valuetext", "0:02 of 0:14", timeout=1000 * PATIENCE
        )
        await page.close()
