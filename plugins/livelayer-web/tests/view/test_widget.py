"""A widget floats, opens, closes, is carried and remembers; an embedded surface does none of it."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect

pytestmark = pytest.mark.anyio

PRESSES = int(os.environ.get("LIVELAYER_DOUBLE_PRESSES", "100"))
"""On the bubble, with the mouse and as many by touch."""

Visit = Callable[..., Awaitable[Page]]

SESSION = "<livelayer-session></livelayer-session>"
WIDGET = '<livelayer-avatar mode="widget"></livelayer-avatar>'
PANEL = '<livelayer-avatar mode="embedded" class="tall"></livelayer-avatar>'


async def kept(page: Page, key: str = "ll-widget") -> Any:
    return await page.evaluate("(key) => JSON.parse(localStorage.getItem(key))", key)


async def test_it_is_remembered_how_a_widget_was_left(visit: Visit) -> None:
    page = await visit(SESSION + WIDGET, scene="listening")
    await expect(page.locator(".panel")).to_be_hidden()
    await page.locator(".bubble").click()
    await expect(page.locator(".panel")).to_be_visible()
    await page.reload()
    await expect(page.locator(".panel")).to_be_visible()
    await page.locator(".minimise").click()
    await page.reload()
    await expect(page.locator(".bubble")).to_be_visible()
    assert (await kept(page))["display"] == "minimized"


async def test_the_second_press_on_the_bubble_reaches_nothing_that_opened_under_it(
    visit: Visit,
) -> None:
    page = await visit(SESSION + WIDGET, scene="listening", reduced_motion="reduce")
    at = await page.locator(".bubble").bounding_box()
    assert at is not None
    pressed = """({point: [clientX, clientY], target}) => {
        const init = {bubbles: true, composed: true, detail: 1, clientX, clientY};
        const found = harness.surface.shadowRoot.querySelector(target);
        found.dispatchEvent(new MouseEvent("click", init));
    }"""
    point = [at["x"] + at["width"] / 2, at["y"] + at["height"] / 2]
    # In one task, as fast as any hand: whatever lies there, End or another control.
    await page.evaluate(
        f"""(first) => {{
            const press = {pressed};
            press(first);
            press({{...first, target: ".controls .end"}});
        }}""",
        {"point": point, "target": ".bubble"},
    )
    await expect(page.locator(".panel")).to_be_visible()
    ended = "() => harness.client.calls.filter(([name]) => name === 'disconnect').length"
    assert await page.evaluate(ended) == 0
    await page.evaluate(pressed, {"point": [1, 1], "target": ".controls .end"})
    assert await page.evaluate(ended) == 1


@pytest.mark.parametrize("touch", [False, True])
async def test_a_double_press_on_the_bubble_ends_no_conversation(visit: Visit, touch: bool) -> None:
    """Whichever the size, the place of the bubble, the point and the pace."""
    dice = random.Random(20)
    page = await visit(SESSION + WIDGET, scene="listening", has_touch=True, reduced_motion="reduce")
    bubble, panel = page.locator(".bubble"), page.locator(".panel")
    for turn in range(PRESSES):
        if turn % 5 == 0:
            width, height = dice.randint(320, 1920), dice.randint(480, 1080)
            await page.set_viewport_size({"width": width, "height": height})
            for _ in range(dice.randrange(3)):
                await bubble.press(f"Arrow{dice.choice(('Left', 'Right', 'Up', 'Down'))}")
        at = await bubble.bounding_box()
        assert at is not None
        x = at["x"] + at["width"] * dice.uniform(0.25, 0.75)
        y = at["y"] + at["height"] * dice.uniform(0.25, 0.75)
        if touch:
            await page.touchscreen.tap(x, y)
            await page.touchscreen.tap(x + dice.uniform(-9, 9), y + dice.uniform(-9, 9))
        else:
            await page.mouse.dblclick(x, y, delay=dice.choice((0, 0, 0, 0, 20, 150, 300)))
        await expect(panel).to_be_visible()
        assert await page.evaluate(ENDED) == 0, (turn, touch)
        assert await page.locator(".question").is_hidden()
        await page.evaluate("() => { harness.surface.display = 'minimized'; }")


ENDED = "() => harness.client.calls.filter(([name]) => name === 'disconnect').length"


@pytest.mark.parametrize("width", [320, 400, 900, 1920])
@pytest.mark.parametrize("key", ["ArrowLeft", "ArrowRight"])
async def test_end_lies_where_the_bubble_does_not(visit: Visit, width: int, key: str) -> None:
    viewport = {"width": width, "height": 700}
    options = {"viewport": viewport, "reduced_motion": "reduce"}
    page = await visit(SESSION + WIDGET, scene="listening", **options)
    await page.locator(".bubble").press(key)
    bubble = await page.locator(".bubble").bounding_box()
    await page.locator(".bubble").click()
    end = await page.locator(".controls .end").bounding_box()
    assert bubble is not None
    assert end is not None
    assert end["x"] + end["width"] <= bubble["x"] or bubble["x"] + bubble["width"] <= end["x"]
    assert await page.locator(".controls .end:hover").count() == 0


async def test_end_asks_once_where_other_pages_share_the_conversation(visit: Visit) -> None:
    page = await visit(SESSION + PANEL, scene="listening")
    await page.evaluate("() => harness.client.set({ info: { viewers: 2 } })")
    question = page.get_by_role("group", name="Other pages are in this conversation, too.")
    end = page.get_by_role("button", name="End conversation")
    await end.click()
    await expect(question.get_by_role("button", name="Leave it")).to_be_focused()
    await question.get_by_role("button", name="Cancel").click()
    await expect(question).to_be_hidden()
    assert await page.evaluate(ENDED) == 0
    await end.click()
    await question.get_by_role("button", name="End it for all").click()
    assert await page.evaluate(ENDED) == 1
    await end.click()
    await question.get_by_role("button", name="Leave it").click()
    calls = await page.evaluate("() => harness.client.calls.map(([name]) => name)")
    assert (calls.count("close"), calls.count("disconnect")) == (1, 1)
    await end.click()
    await page.evaluate("() => harness.client.set({ info: { viewers: 1 } })")
    await expect(question).to_be_hidden()  # the others have left
    await end.click()
    assert await page.evaluate(ENDED) == 2


async def test_a_double_click_on_connect_does_not_cancel(visit: Visit) -> None:
    page = await visit(SESSION + PANEL, scene="idle")
    await page.evaluate("""() => {
        const { client } = harness;
        client.connect = async () => {
            client.calls.push(["connect"]);
            client.set({ state: { connection_state: "connecting" } });
        };
    }""")
    await page.locator(".placeholder button").first.dblclick()
    await expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    calls = await page.evaluate("() => harness.client.calls.map(([name]) => name)")
    assert (calls.count("connect"), calls.count("disconnect")) == (1, 0)


async def test_the_bubbles_orb_stands_in_its_middle_without_a_picture(visit: Visit) -> None:
    page = await visit(SESSION + WIDGET, scene="speaking-voice-only")
    offset = await page.evaluate("""() => {
        const middle = (selector) => {
            const at = harness.surface.shadowRoot.querySelector(selector).getBoundingClientRect();
            return [at.left + at.width / 2, at.top + at.height / 2];
        };
        const [one, other] = [middle(".bubble .orb"), middle(".bubble .disc")];
        return Math.max(Math.abs(one[0] - other[0]), Math.abs(one[1] - other[1]));
    }""")
    assert offset < 2


async def test_an_empty_key_switches_remembering_off(visit: Visit) -> None:
    page = await visit(SESSION + '<livelayer-avatar persist-key="" display="expanded">')
    await page.locator(".minimise").click()
    await expect(page.locator(".bubble")).to_be_visible()
    assert await page.evaluate("() => localStorage.length") == 0
    await page.reload()
    await expect(page.locator(".panel")).to_be_visible()


async def test_surfaces_that_share_a_key_move_together_and_others_do_not(visit: Visit) -> None:
    page = await visit(
        SESSION
        + '<livelayer-avatar id="a" persist-key="one"></livelayer-avatar>'
        + '<livelayer-avatar id="b" persist-key="one"></livelayer-avatar>'
        + '<livelayer-avatar id="c" persist-key="two"></livelayer-avatar>'
    )
    await page.evaluate("() => { document.getElementById('a').display = 'expanded'; }")
    displays = "() => ['a', 'b', 'c'].map((id) => document.getElementById(id).display)"
    assert await page.evaluate(displays) == ["expanded", "expanded", "minimized"]
    assert (await kept(page, "one"))["display"] == "expanded"
    assert await kept(page, "two") is None


async def test_an_embedded_surface_is_expanded_whatever_is_asked(visit: Visit) -> None:
    page = await visit(SESSION + PANEL, scene="listening")
    await page.evaluate("() => { harness.surface.display = 'minimized'; }")
    assert await page.evaluate("() => harness.surface.display") == "expanded"
    await page.locator("textarea").press("Escape")
    await expect(page.locator(".panel")).to_be_visible()
    await expect(page.locator(".minimise")).to_be_hidden()
    assert await page.evaluate("() => localStorage.length") == 0


async def test_broken_memory_is_as_good_as_none(visit: Visit) -> None:
    page = await visit(SESSION + WIDGET)
    for nonsense in (
        "{",
        '"expanded"',
        '{"display": 3, "place": {"side": "top", "at": 7}}',
        "null",
    ):
        await page.evaluate("(text) => localStorage.setItem('ll-widget', text)", nonsense)
        await page.reload()
        await expect(page.locator(".bubble")).to_be_visible()


async def test_keys_alone_open_close_and_move_it(visit: Visit) -> None:
    page = await visit(SESSION + WIDGET, scene="listening", reduced_motion="reduce")
    await page.keyboard.press("Tab")
    bubble = page.locator(".bubble")
    await expect(bubble).to_be_focused()
    for key in ("ArrowLeft", "ArrowUp", "ArrowUp"):
        await page.keyboard.press(key)
    await expect(page.locator("[role=status]")).to_have_text("Moved: middle, left")
    assert (await kept(page))["place"] == {"side": "start", "at": 0.5}
    await page.keyboard.press("Home")
    await page.reload()
    box = await bubble.bounding_box()
    assert box is not None
    assert (box["x"], box["y"]) == (16, 16)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator(".panel")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(bubble).to_be_focused()


async def test_a_pointer_carries_it_to_the_nearer_side(visit: Visit) -> None:
    page = await visit(SESSION + WIDGET, scene="listening", reduced_motion="reduce")
    await drag(page, ".bubble", (160, 300))
    await expect(page.locator(".panel")).to_be_hidden()  # the end of a drag is not a click
    box = await page.locator(".bubble").bounding_box()
    assert box is not None
    assert box["x"] == 16
    assert abs(box["y"] + box["height"] / 2 - 300) < 12
    await page.reload()
    assert await page.locator(".bubble").bounding_box() == box
    await drag(page, ".bubble", (1100, 30))
    assert (await kept(page))["place"] == {"side": "end", "at": 0}
    await page.locator(".bubble").click()
    await expect(page.locator(".panel")).to_be_visible()


async def test_a_panel_is_carried_by_its_picture_and_stays_in_the_window(visit: Visit) -> None:
    page = await visit(SESSION + WIDGET, scene="listening", reduced_motion="reduce")
    await page.locator(".bubble").click()
    await drag(page, ".stage", (-200, -400))
    box = await page.locator(".panel").bounding_box()
    assert box is not None
    assert (box["x"], box["y"]) == (16, 16)


async def drag(page: Page, selector: str, to: tuple[float, float]) -> None:
    box = await page.locator(selector).bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await page.mouse.down()
    await page.mouse.move(*to, steps=5)
    await page.mouse.up()


async def test_a_hidden_widget_leaves_a_tab_to_bring_it_back(visit: Visit) -> None:
    page = await visit(SESSION + WIDGET, scene="listening")
    await page.locator(".bubble").click()
    await page.locator(".options-switch").click()
    await page.get_by_role("button", name="Hide").click()
    tab = page.locator(".tab")
    await expect(tab).to_be_focused()
    await expect(page.locator(".bubble")).to_be_hidden()
    await tab.click()
    await expect(page.locator(".bubble")).to_be_visible()


async def test_right_to_left_mirrors_sides_and_keys(visit: Visit) -> None:
    page = await visit(
        SESSION + WIDGET, scene="listening", direction="rtl", reduced_motion="reduce"
    )
    bubble = page.locator(".bubble")
    box = await bubble.bounding_box()
    assert box is not None
    assert box["x"] == 16
    await bubble.focus()
    await page.keyboard.press("ArrowRight")
    assert (await kept(page))["place"]["side"] == "start"
    await expect(page.locator("[role=status]")).to_have_text("Moved: bottom, right")


async def test_a_route_hides_the_surface_and_the_session_goes_on(visit: Visit) -> None:
    page = await visit(
        SESSION + '<livelayer-avatar display="expanded" hide-on="/admin/**" show-on="/**">',
        scene="listening",
    )
    await expect(page.locator(".panel")).to_be_visible()
    await page.evaluate(
        "() => { harness.client.calls = []; history.pushState({}, '', '/admin/x'); }"
    )
    await expect(page.locator(".panel")).to_be_hidden()
    calls = {name for name, *_ in await page.evaluate("() => harness.client.calls")}
    assert "releaseVideo" in calls
    assert not calls & {"disconnect", "close"}
    await page.evaluate("() => history.pushState({}, '', '/pricing')")
    await expect(page.locator(".panel")).to_be_visible()


async def test_pathname_stands_for_the_address_and_predicates_do(visit: Visit) -> None:
    page = await visit(SESSION + '<livelayer-avatar show-on="/pricing" pathname="/pricing">')
    await expect(page.locator(".bubble")).to_be_visible()
    await page.evaluate("() => harness.surface.setAttribute('pathname', '/home')")
    await expect(page.locator(".bubble")).to_be_hidden()
    await page.evaluate("() => { harness.surface.showOn = (path) => path.startsWith('/ho'); }")
    await expect(page.locator(".bubble")).to_be_visible()
    await page.evaluate("() => { harness.surface.hideOn = [/^\\/h/]; }")
    await expect(page.locator(".bubble")).to_be_hidden()


async def test_a_hidden_surface_and_one_in_something_hidden_are_not_shown(visit: Visit) -> None:
    page = await visit(f"{SESSION}{PANEL}<div>{WIDGET}</div>", scene="listening")
    for selector, part in (("[mode=embedded]", ".panel"), ("[mode=widget]", ".bubble")):
        shown = page.locator(f"{selector} {part}")
        await expect(shown).to_be_visible()
        await page.locator(selector).evaluate("(surface) => { surface.hidden = true; }")
        await expect(shown).to_be_hidden()
        await page.locator(selector).evaluate("(surface) => { surface.hidden = false; }")
        await expect(shown).to_be_visible()
    await page.locator("div:has(> livelayer-avatar)").evaluate(
        "(around) => { around.style.display = 'none'; }"
    )
    await expect(page.locator("[mode=widget] .bubble")).to_be_hidden()
