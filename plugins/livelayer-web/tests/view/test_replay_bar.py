"""The bar of a session that plays a recording: what it shows, what it asks, and by keys alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect

pytestmark = pytest.mark.anyio

Visit = Callable[..., Awaitable[Page]]

CALLS = """() => harness.client.calls
    .filter(([name]) => name === "controlReplay")
    .map(([, change]) => change)"""
TELL = "(replay) => harness.client.set({ info: { replay } })"


def replay(**changes: Any) -> dict[str, Any]:
    return {"duration": 100, "position": 20, "speed": 1, "paused": True} | changes


async def test_a_live_session_has_no_bar_and_a_watcher_does_not_control(visit: Visit) -> None:
    page = await visit(scene="listening")
    bar = page.locator(".replay")
    await expect(bar).to_be_hidden()
    await page.evaluate(TELL, replay())
    await expect(bar).to_be_visible()
    await page.evaluate("() => harness.client.set({ joined: { grants: ['watch'] } })")
    await expect(bar).to_be_hidden()


async def test_it_shows_where_the_recording_is_and_goes_on_by_itself(visit: Visit) -> None:
    page = await visit(scene="replay")
    slider = page.get_by_role("slider", name="Position")
    await expect(slider).to_have_attribute("aria-valuetext", "1:12 of 12:34")
    await expect(page.locator(".replay .time")).to_have_text("1:12 / 12:34")
    await page.evaluate(TELL, replay(position=3700, duration=7300))
    await expect(slider).to_have_attribute("aria-valuetext", "1:01:40 of 2:01:40")
    await page.evaluate(TELL, replay(position=20, speed=4, paused=False))
    await expect(page.locator(".replay .time")).not_to_have_text("0:20 / 1:40")
    await page.evaluate(TELL, replay(position=99, paused=False))
    await expect(page.locator(".replay .time")).to_have_text("1:40 / 1:40")
    await expect(page.get_by_role("button", name="Play")).to_be_visible()


async def test_it_is_controlled_by_a_pointer(visit: Visit) -> None:
    page = await visit(scene="replay")
    await page.evaluate(TELL, replay())
    await page.get_by_role("button", name="Play").click()
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    slider = page.get_by_role("slider", name="Position")
    await slider.fill("60")
    await expect(slider).to_have_attribute("aria-valuetext", "1:00 of 1:40")
    await page.get_by_role("combobox", name="Speed").select_option("2")
    # At its end it begins anew.
    await page.evaluate(TELL, replay(position=100, paused=False))
    await page.get_by_role("button", name="Play").click()
    assert await page.evaluate(CALLS) == [
        {"paused": False},
        {"position": 60},
        {"speed": 2},
        {"position": 0, "paused": False},
    ]


@pytest.mark.parametrize(("direction", "forward"), [("ltr", "ArrowRight"), ("rtl", "ArrowLeft")])
async def test_keys_move_it_by_seconds_in_the_direction_of_reading(
    visit: Visit, direction: str, forward: str
) -> None:
    page = await visit(scene="replay", direction=direction)
    await page.evaluate(TELL, replay())
    await page.locator(".replay .position").focus()
    for key in (forward, "PageUp", "ArrowDown", "End"):
        await page.keyboard.press(key)
    positions = [change["position"] for change in await page.evaluate(CALLS)]
    assert positions == [21, 31, 30, 100]


async def test_a_speed_that_is_not_in_the_list_is_shown(visit: Visit) -> None:
    page = await visit(scene="replay")
    await page.evaluate(TELL, replay(speed=3))
    speed = page.get_by_role("combobox", name="Speed")
    await expect(speed).to_have_value("3")
    values = await speed.locator("option").evaluate_all("(all) => all.map((one) => one.value)")
    assert values == ["0.5", "1", "1.5", "2", "3", "4"]


async def test_the_tab_key_comes_to_it_after_the_controls(visit: Visit) -> None:
    page = await visit(scene="replay")
    await page.get_by_role("button", name="End conversation").focus()
    reached: list[str] = []
    for _ in range(3):
        await page.keyboard.press("Tab")
        reached.append(
            await page.evaluate(
                "() => harness.surface.shadowRoot.activeElement.getAttribute('aria-label')"
            )
        )
    assert reached == ["Play", "Position", "Speed"]
