"""Several tabs are one session and one encode; a tab that is gone or hidden costs nothing."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from playwright.async_api import BrowserContext

from livelayer_bus.testing import PATIENCE

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_two_tabs_are_one_encode_and_neither_needs_the_other(
    stage: Any, tabs: Any, context: BrowserContext
) -> None:
    one = await tabs.open(context, stage.url)
    other = await tabs.open(context, stage.url)
    for tab in (one, other):
        await tab.playing("panel", "bubble")
    await stage.eventually(lambda: [s.viewers for s in stage.encoders()] == [2])
    await stage.eventually(lambda: voices(stage) == [2])

    await stage.agent.speak("Both of you hear this.", "both")
    for tab in (one, other):
        await tab.until("client.state.transcript.at(-1)?.text === 'Both of you hear this.'")
        await tab.page.locator("#panel").get_by_text("Both of you hear this.").first.wait_for()

    await one.page.evaluate("void (seen.breaks.length = 0)")
    await tabs.look(other)
    silent = stage.surface.statistics().viewers.fell_silent
    await other.page.close()
    await stage.eventually(lambda: len(stage.surface.viewers()) == 1)
    await stage.eventually(lambda: [s.viewers for s in stage.encoders()] == [1])
    assert stage.surface.statistics().viewers.fell_silent == silent  # it said that it left
    await one.playing("panel", "bubble")
    await one.decodes("samples")
    assert await one.page.evaluate("seen.breaks") == []
    assert await one.peers() == 1
    await tabs.look(one)


async def test_a_browser_that_vanishes_is_noticed_and_costs_nothing_from_then_on(
    stage: Any, tabs: Any, chromium: Any
) -> None:
    await stage.shown.until_left()
    tab = await tabs.open(chromium.context, stage.url)
    await tab.playing("panel", "bubble")
    silent = stage.surface.statistics().viewers.fell_silent
    await chromium.kill()
    await stage.eventually(lambda: not stage.surface.viewers())
    assert stage.surface.statistics().viewers.fell_silent == silent + 1
    await stage.eventually(lambda: stage.encoders() == [])
    await stage.eventually(lambda: voices(stage) == [])
    await stage.eventually(lambda: stage.surface.statistics().media[0].connections == 0)
    await rests(stage)


async def test_nobody_looking_encodes_nothing_and_pauses_the_track_until_somebody_does(
    stage: Any, tabs: Any, chromium: Any
) -> None:
    tab = await tabs.open(chromium.context, f"{stage.url}/other")
    await tab.playing("bubble")

    # Another tab is in front.
    cover = await chromium.context.new_page()
    await cover.bring_to_front()
    await tab.until("document.visibilityState === 'hidden'")
    await rests(stage)
    await tab.page.bring_to_front()
    await wakes(stage, tab)

    # The widget is put away.
    await tab.page.evaluate("void (document.querySelector('#bubble').display = 'hidden')")
    await rests(stage)
    await tab.page.evaluate("void (document.querySelector('#bubble').display = 'minimized')")
    await wakes(stage, tab)

    # This route does not show it.
    await tab.page.evaluate("history.pushState({}, '', '/quiet')")
    await rests(stage)
    assert voices(stage) == [1]  # a voice is heard without being looked at
    await tab.page.evaluate("history.pushState({}, '', '/other')")
    await wakes(stage, tab)
    assert await tab.peers() == 1
    await tabs.look(tab)


def voices(stage: Any) -> list[int]:
    """The viewers of each encode of sound that runs."""
    (media,) = stage.surface.statistics().media
    return [media.audio.viewers] if media.audio.running else []


async def rests(stage: Any) -> None:
    """Nothing is encoded, and the server keeps the pictures to itself."""
    await stage.eventually(lambda: stage.encoders() == [])
    encoded = stage.encoded()
    await stage.eventually(lambda: stage.session.video.demand == 0)
    before = -1
    with anyio.fail_after(PATIENCE):
        while (now := await stage.received()) != before:
            before = now
            await stage.picture.shows(15)
    assert stage.encoded() == encoded


async def wakes(stage: Any, tab: Any) -> None:
    """The picture goes on in a page that is visible again."""
    await tab.playing("bubble")
    await stage.eventually(lambda: len(stage.encoders()) == 1)
    before = await stage.received()

    async def goes_on() -> Any:
        return await stage.received() > before

    await stage.eventually(goes_on)
