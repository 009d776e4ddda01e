"""Cut off, restarted or frozen: the page says so, comes back by itself, and loses nothing."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import BrowserContext, Error

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]


def consecutive(numbers: list[int]) -> bool:
    """Whether none is missing, and none came twice or late."""
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_a_cut_cable_is_told_and_recovered_from_and_loses_nothing(
    stage: Any, tabs: Any, context: BrowserContext, cable: Any
) -> None:
    tabs.cut = True
    await context.expose_binding("cable", lambda _, host, port: cable.relay(host, port))
    tab = await tabs.open(context, cable.url)
    await tab.playing("panel", "bubble")
    typed = len(stage.typed())
    async with stage.counting(stage.agent) as sent:
        await tab.until("seen.kept('numbers').length > 5")
        cable.cut()
        await tab.say("typed before the page knows")
        await tab.until("client.link.phase === 'recovering'")
        assert await tab.until("client.link.code") in ("timeout", "network")
        await tab.page.locator("#panel").get_by_role("button", name="Try now").wait_for()
        await tab.say("typed after the page knows")
        await tab.until("client.media.phase === 'recovering'")
        await stage.eventually(lambda: not stage.surface.viewers())
        missed = sent[-1]
        assert len(stage.typed()) == typed
        await tab.until("client.pending.length === 2")
        cable.mend()
        await tab.until("client.link.phase === 'live'")
        await tab.until("client.media.phase === 'live'")
        await tab.playing("panel", "bubble")
        await tab.until("client.pending.length === 0")
        await tab.until(f"seen.kept('numbers').at(-1) > {missed + 5}")
    assert consecutive(await tab.kept("numbers"))
    await stage.eventually(lambda: len(stage.typed()) >= typed + 2)
    await stage.picture.shows(20)  # a second one of either would be here by now
    assert stage.typed()[typed:] == ["typed before the page knows", "typed after the page knows"]
    assert (await tab.kept("links"))[-2:] == ["recovering", "live"]
    await tabs.look(tab)


@pytest.mark.parametrize("anew", [False, True], ids=["the same surface", "another surface"])
async def test_a_restarted_server_is_found_again(
    stage: Any, tabs: Any, context: BrowserContext, server: Any, anew: bool
) -> None:
    tabs.cut = True
    tab = await tabs.open(context, server.url)
    await tab.playing("panel", "bubble")
    typed = len(stage.typed())
    async with stage.counting(stage.agent) as sent:
        await tab.until("seen.kept('numbers').length > 5")
        await server.end()
        await tab.until("client.link.phase === 'recovering'")
        await tab.say("typed while the server is away")
        missed = sent[-1]
        await server.start(anew=anew)
        await tab.until("client.link.phase === 'live'")
        await tab.until("client.media.phase === 'live'")
        await tab.playing("panel", "bubble")
        await tab.until("client.pending.length === 0")
        await tab.until(f"seen.kept('numbers').at(-1) > {missed + 5}")
    assert consecutive(await tab.kept("numbers"))
    await stage.eventually(lambda: len(stage.typed()) > typed)
    await stage.picture.shows(20)
    assert stage.typed()[typed:] == ["typed while the server is away"]
    assert await tab.page.evaluate("seen.sounds().length") == 1
    await tabs.look(tab)


async def test_what_was_typed_before_a_reload_during_the_cut_arrives_once(
    stage: Any, tabs: Any, context: BrowserContext, server: Any
) -> None:
    tabs.cut = True
    tab = await tabs.open(context, server.url)
    await tab.playing("panel")
    typed = len(stage.typed())
    async with stage.counting(stage.agent) as sent:
        await tab.until("seen.kept('numbers').length > 5")
        await server.end()
        await tab.until("client.link.phase === 'recovering'")
        await tab.say("typed before the reload")
        with pytest.raises(Error, match="ERR_CONNECTION_REFUSED"):
            await tab.page.reload()
        await stage.eventually(lambda: tab.page.url.startswith("chrome-error:"))
        missed = sent[-1]
        await server.start()
        await tab.page.goto(server.url)
        await tab.playing("panel")
        await tab.until("client.pending.length === 0")
        await tab.until(f"seen.kept('numbers').at(-1) > {missed + 5}")
    assert consecutive(await tab.kept("numbers"))
    await stage.eventually(lambda: len(stage.typed()) > typed)
    await stage.picture.shows(20)
    assert stage.typed()[typed:] == ["typed before the reload"]
    await tabs.look(tab)


async def test_a_frozen_tab_is_let_go_and_comes_back(stage: Any, tabs: Any, chromium: Any) -> None:
    tabs.cut = True
    tab = await tabs.open(chromium.context, stage.url)
    await tab.playing("panel", "bubble")
    debugger = await chromium.context.new_cdp_session(tab.page)
    async with stage.counting(stage.agent) as sent:
        await tab.until("seen.kept('numbers').length > 5")
        cover = await chromium.context.new_page()
        await cover.bring_to_front()
        await debugger.send("Page.setWebLifecycleState", {"state": "frozen"})
        await stage.eventually(lambda: not stage.surface.viewers())
        await stage.eventually(lambda: stage.encoders() == [])
        missed = sent[-1]
        await debugger.send("Page.setWebLifecycleState", {"state": "active"})
        await tab.page.bring_to_front()
        await tab.until(f"seen.kept('numbers').at(-1) > {missed + 5}")
        await tab.until("client.media.phase === 'live'")
        await tab.playing("panel", "bubble")
    assert consecutive(await tab.kept("numbers"))
    assert (await tab.kept("links"))[-2:] == ["recovering", "live"]
    await tabs.look(tab)
