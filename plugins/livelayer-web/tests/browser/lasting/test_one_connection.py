"""A panel and a bubble show one session over one connection, whatever happens to the page."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from playwright.async_api import BrowserContext

from livelayer_bus.testing import PATIENCE

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]


async def test_panel_and_bubble_show_the_same_picture_over_one_connection_and_one_voice(
    stage: Any, tab: Any
) -> None:
    together: set[int] = set()
    with anyio.fail_after(PATIENCE):
        while len(together) < 5:  # the pictures go on, and both show each of them
            panel, bubble = await tab.numbers("panel", "bubble")
            if panel == bubble and panel is not None:  # neither is blurred by the codec
                together.add(panel)
    assert await tab.peers() == 1
    assert await tab.page.evaluate("seen.sounds().length") == 1
    await stage.eventually(lambda: [stream.viewers for stream in stage.encoders()] == [1])


async def test_a_panel_taken_away_mid_speech_leaves_bubble_and_voice_as_they_were(
    stage: Any, tab: Any
) -> None:
    await stage.agent.room.local_participant.set_attributes({"lk.agent.state": "speaking"})
    await tab.until("client.state.agent_state === 'speaking'")
    await tab.until("seen.sounds()[0].currentTime > 0")
    heard = await tab.page.evaluate(
        """() => {
            seen.breaks.length = 0;
            seen.panel = document.querySelector("#panel");
            seen.panel.remove();
            return seen.sounds()[0].currentTime;
        }"""
    )
    await tab.decodes("samples", "pictures")
    await tab.playing("bubble")
    await tab.until(f"seen.sounds()[0].currentTime > {heard + 0.5}")

    await tab.page.evaluate("void document.querySelector('main').append(seen.panel)")
    await tab.playing("panel", "bubble")
    assert await tab.page.evaluate("seen.breaks") == []
    assert await tab.page.evaluate("seen.sounds().length") == 1
    assert await tab.peers() == 1
    assert await tab.page.evaluate("seen.peers[0].connectionState") == "connected"


async def test_another_route_of_the_page_keeps_the_connection(stage: Any, tab: Any) -> None:
    before = stage.surface.statistics().viewers.joined
    await tab.page.evaluate("void (window.same = true, seen.breaks.length = 0)")
    await tab.page.get_by_role("link", name="Other").click()
    await tab.until("document.title === 'Other' && document.querySelector('#panel') === null")
    await tab.playing("bubble")
    await tab.page.get_by_role("link", name="Home").click()
    await tab.until("document.title === 'Home'")
    await tab.playing("panel", "bubble")
    assert await tab.page.evaluate("window.same === true && seen.breaks.length === 0")
    assert await tab.peers() == 1
    assert stage.surface.statistics().viewers.joined == before


async def test_a_reload_brings_the_picture_back_and_misses_no_event(stage: Any, tab: Any) -> None:
    async with stage.counting(stage.agent) as sent:
        await tab.until("seen.kept('numbers').length > 5")
        for _ in range(3):
            await tab.page.reload()
            await tab.until("seen.pictured !== null")
            await tab.playing("panel", "bubble")
        count = len(await tab.kept("numbers"))
        await tab.until(f"seen.kept('numbers').length > {count + 5}")
    last = sent[-1]
    await tab.until(f"seen.kept('numbers').at(-1) >= {last}")
    numbers = await tab.kept("numbers")
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert await tab.peers() == 1


@pytest.mark.parametrize("left", ["expanded", "minimized"])
async def test_a_reload_finds_the_bubble_as_it_was_left(
    stage: Any, tabs: Any, context: BrowserContext, left: str
) -> None:
    tab = await tabs.open(context, f"{stage.url}/other")
    await tab.playing("bubble")
    bubble = tab.page.locator("#bubble")
    await bubble.get_by_role("button").first.click()
    await tab.until("document.querySelector('#bubble').display === 'expanded'")
    if left == "minimized":
        await (
            bubble.get_by_role("button", name="Minimise")
            .or_(bubble.get_by_role("button", name="Minimize"))
            .click()
        )
        await tab.until("document.querySelector('#bubble').display === 'minimized'")
    await tab.page.reload()
    await tab.playing("bubble")
    assert await tab.page.evaluate("document.querySelector('#bubble').display") == left
    await tabs.look(tab)
