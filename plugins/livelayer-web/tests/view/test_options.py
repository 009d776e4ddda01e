"""What a page chooses of a surface: each option by its attribute and by its property."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect

from .test_access import SMALL, faults_of
from .test_widget import drag, kept

pytestmark = pytest.mark.anyio

Visit = Callable[..., Awaitable[Page]]
Enact = Callable[[Page, str], Awaitable[None]]

SESSION = "<livelayer-session></livelayer-session>"
PANEL = '<livelayer-avatar mode="embedded" class="tall"></livelayer-avatar>'
SILENT = {"state": {"transcript": [], "agent_state": "listening"}}


def widget(attributes: str = "") -> str:
    return f"{SESSION}<livelayer-avatar {attributes}></livelayer-avatar>"


def panel(attributes: str = "") -> str:
    return SESSION + PANEL.replace("class=", f"{attributes} class=")


async def box_of(page: Page, selector: str) -> Any:
    await expect(page.locator(selector)).to_be_visible()  # its style sheet may still be on its way
    box = await page.locator(selector).bounding_box()
    assert box is not None
    return box


# The table ---------------------------------------------------------------------------------------


async def test_every_option_has_a_property_that_is_what_its_attribute_says(visit: Visit) -> None:
    page = await visit(SESSION + PANEL)
    found: dict[str, Any] = await page.evaluate("""async () => {
        const { OPTIONS, camel } = await import("/static/view/attributes.js");
        const { surface } = harness;
        const found = {};
        for (const name of Object.keys(OPTIONS)) {
            const property = camel(name);
            const first = surface[property];
            const given = { boolean: !first, string: "x", number: 300 }[typeof first];
            const value = name === "position" ? "top-left" : given;
            surface[property] = value;
            const set = [surface.getAttribute(name), surface[property] === value];
            surface[property] = null;
            found[name] = [first, ...set, surface.hasAttribute(name), surface[property] === first];
        }
        return found;
    }""")
    for name, (_, _, reads_back, remains, restored) in found.items():
        assert (reads_back, remains, restored) == (True, False, True), name
    firsts = {name: (first, text) for name, (first, text, *_) in found.items()}
    assert firsts["allow-mic"] == (True, "false")
    assert firsts["chromeless"] == (False, "")
    assert firsts["position"] == ("", "top-left")
    assert firsts["mobile-breakpoint"] == (640, "300")


async def test_a_property_that_was_set_before_the_element_was_defined_counts(visit: Visit) -> None:
    page = await visit(SESSION)
    await page.evaluate("""() => {
        const early = document.createElement("livelayer-avatar-early");
        early.allowMic = false;
        document.body.append(early);
        const { LiveLayerAvatar } = harness.avatar;
        customElements.define("livelayer-avatar-early", class extends LiveLayerAvatar {});
        window.early = early;
    }""")
    assert await page.evaluate("() => [early.allowMic, early.getAttribute('allow-mic')]") == [
        False,
        "false",
    ]


# Permissions -------------------------------------------------------------------------------------

CONTROLS = {
    "allow-mic": "button.microphone",
    "allow-camera": "button.camera",
    "allow-screen-share": "button.screen",
    "allow-typing": "textarea",
}


@pytest.mark.parametrize("attribute", CONTROLS)
async def test_what_a_page_does_not_allow_has_no_control(visit: Visit, attribute: str) -> None:
    page = await visit(panel(f'{attribute}="false"'), scene="listening")
    for name, selector in CONTROLS.items():
        shown = expect(page.locator(selector))
        await (shown.to_be_hidden() if name == attribute else shown.to_be_visible())
    await page.locator(".devices-switch").click()
    for kind in ("microphone", "camera"):
        icons = page.locator(f".devices .heading [data-icon={kind}]")
        assert (await icons.count() == 0) is (CONTROLS[attribute] == f"button.{kind}")
    await page.evaluate("(name) => harness.surface.removeAttribute(name)", attribute)
    await expect(page.locator(CONTROLS[attribute])).to_be_visible()


async def test_an_attribute_cannot_allow_what_the_server_does_not(visit: Visit) -> None:
    page = await visit(panel("allow-mic allow-camera allow-typing"), scene="listening")
    await page.evaluate("() => harness.play({joined: {sources: ['screen'], typing: false}})")
    for name, selector in CONTROLS.items():
        shown = expect(page.locator(selector))
        await (shown.to_be_visible() if "screen" in name else shown.to_be_hidden())


async def test_what_a_page_does_not_allow_has_no_notice(visit: Visit) -> None:
    page = await visit(panel('allow-camera="false"'), scene="camera-denied")
    await expect(page.locator(".notice")).to_have_count(0)
    await page.evaluate("() => { harness.surface.allowCamera = true; }")
    await expect(page.locator(".notice")).to_have_count(1)


@pytest.mark.parametrize(
    ("attributes", "hint"),
    [
        ("", "Talk or type."),
        ('allow-typing="false"', "Just talk."),
        ('allow-mic="false"', "Just type."),
    ],
)
async def test_the_first_hint_names_what_is_allowed(
    visit: Visit, attributes: str, hint: str
) -> None:
    page = await visit(panel(attributes), scene="idle")
    await expect(page.locator(".placeholder .hint")).to_contain_text(hint)


# Where it is, and how large ----------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
@pytest.mark.parametrize("row", ["top", "bottom"])
@pytest.mark.parametrize("side", ["start", "end", "left", "right"])
async def test_a_widget_begins_in_the_corner_that_the_page_names(
    visit: Visit, direction: str, row: str, side: str
) -> None:
    body = widget(f'position="{row}-{side}"')
    page = await visit(body, direction=direction, reduced_motion="reduce")
    box = await box_of(page, ".bubble")
    left = side == "left" or side == ("start" if direction == "ltr" else "end")
    assert box["x"] == (16 if left else 1280 - 16 - box["width"])
    assert box["y"] == (16 if row == "top" else 800 - 16 - box["height"])


async def test_a_person_s_place_wins_and_no_other_choice_settles_it(visit: Visit) -> None:
    page = await visit(widget('position="top-start"'), scene="listening", reduced_motion="reduce")
    await page.locator(".bubble").click()
    assert (await kept(page))["place"] is None
    await page.locator(".minimise").click()
    await page.evaluate("() => { harness.surface.position = 'bottom-start'; }")
    await page.evaluate("() => harness.painted()")
    assert (await box_of(page, ".bubble"))["y"] > 600
    await drag(page, ".bubble", (1200, 30))
    await page.reload()
    assert (await kept(page))["place"] == {"side": "end", "at": 0}
    assert (await box_of(page, ".bubble"))["x"] > 1000


async def pull(page: Page, by: tuple[float, float]) -> None:
    grip = await box_of(page, ".grip")
    x, y = grip["x"] + 22, grip["y"] + 22
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(x + by[0], y + by[1], steps=4)
    await page.mouse.up()


@pytest.mark.parametrize(
    ("position", "direction", "by", "fixed"),
    [
        ("bottom-end", "ltr", (-100, -60), ("right", "bottom")),
        ("top-start", "ltr", (100, 60), ("left", "top")),
        ("bottom-end", "rtl", (100, -60), ("left", "bottom")),
    ],
)
async def test_a_person_resizes_a_panel_by_its_free_corner_and_it_is_remembered(
    visit: Visit, position: str, direction: str, by: tuple[int, int], fixed: tuple[str, str]
) -> None:
    body = widget(f'display="expanded" position="{position}"')
    page = await visit(body, scene="listening", direction=direction, reduced_motion="reduce")
    edges = """() => { const at = harness.surface.shadowRoot.querySelector(".panel")
        .getBoundingClientRect(); return [at.width, at.height, at[FIXED0], at[FIXED1]]; }"""
    edges = edges.replace("FIXED0", repr(fixed[0])).replace("FIXED1", repr(fixed[1]))
    await expect(page.locator(".panel")).to_be_visible()
    width, height, *corner = await page.evaluate(edges)
    await pull(page, by)
    larger = [width + 100, height + 60, *corner]
    assert await page.evaluate(edges) == larger
    await page.reload()
    await expect(page.locator(".panel")).to_be_visible()
    assert await page.evaluate(edges) == larger
    await page.locator(".grip").dblclick()
    assert await page.evaluate(edges) == [width, height, *corner]
    # What happens in the conversation meanwhile does not let it go.
    grip = await box_of(page, ".grip")
    await page.mouse.move(grip["x"] + 22, grip["y"] + 22)
    await page.mouse.down()
    await page.mouse.move(grip["x"] + 22 + by[0], grip["y"] + 22 + by[1])
    await page.evaluate("() => harness.play({state: {agent_state: 'speaking'}})")
    await page.evaluate("() => harness.painted()")
    assert await page.evaluate(edges) == larger
    await page.mouse.move(grip["x"] + 22, grip["y"] + 22)
    await page.mouse.up()
    assert (await kept(page))["size"] is None


@pytest.mark.parametrize("width", [300, 500, 719, 720, 760, 820, 1010])
async def test_buttons_stay_on_the_picture_at_every_width(visit: Visit, width: int) -> None:
    page = await visit(widget('display="expanded"'), scene="listening", reduced_motion="reduce")
    size = {"width": width, "height": 500}
    await page.evaluate(
        "(size) => localStorage.setItem('ll-widget', JSON.stringify({display: 'expanded', size}))",
        size,
    )
    await page.reload()
    stage, button = await box_of(page, ".stage"), await box_of(page, ".minimise")
    assert stage["x"] <= button["x"]
    assert button["x"] + button["width"] <= stage["x"] + stage["width"]


async def test_a_pulled_corner_stays_under_the_pointer_wherever_the_panel_is(visit: Visit) -> None:
    page = await visit(widget('display="expanded"'), scene="listening", reduced_motion="reduce")
    await page.evaluate(
        """() => localStorage.setItem("ll-widget", JSON.stringify({display: "expanded",
            place: {side: "end", at: 0.5}, size: {width: 400, height: 400}}))"""
    )
    await page.reload()
    before = await box_of(page, ".grip")
    await pull(page, (-40, -50))
    after = await box_of(page, ".grip")
    assert (after["x"], after["y"]) == (before["x"] - 40, before["y"] - 50)


async def test_keys_alone_resize_a_panel(visit: Visit) -> None:
    page = await visit(widget('display="expanded"'), scene="listening", reduced_motion="reduce")
    grip = page.locator(".grip")
    await expect(grip).to_have_accessible_name("Resize")
    await expect(grip).to_have_accessible_description(
        "Arrow keys change the size, Enter restores it."
    )
    await grip.focus()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowDown"):
        await page.keyboard.press(key)
    await expect(page.locator("[role=status]")).to_have_text("Size: 448 by 620")
    for _ in range(60):
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("ArrowDown")
    assert (await kept(page))["size"] == {"width": 280, "height": 380}
    for _ in range(60):
        await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("ArrowUp")
    assert (await kept(page))["size"] == {"width": 1248, "height": 768}
    await page.keyboard.press("Enter")
    await expect(page.locator("[role=status]")).to_have_text("Size: 384 by 620")
    await expect(grip).to_be_focused()
    assert await faults_of(page) + await page.evaluate(SMALL) == []


async def test_a_size_that_is_remembered_fits_a_smaller_window(visit: Visit) -> None:
    page = await visit(widget('display="expanded"'), scene="listening", reduced_motion="reduce")
    await page.evaluate(
        """() => localStorage.setItem("ll-widget",
            JSON.stringify({display: "expanded", size: {width: 1200, height: 760}}))"""
    )
    await page.set_viewport_size({"width": 700, "height": 500})
    await page.reload()
    box = await box_of(page, ".panel")
    assert (box["x"], box["y"], box["width"], box["height"]) == (16, 16, 668, 468)
    for nonsense in ("3", '{"width": "9", "height": null}', '{"width": -1, "height": 5}'):
        text = f'{{"display": "expanded", "size": {nonsense}}}'
        await page.evaluate("(text) => localStorage.setItem('ll-widget', text)", text)
        await page.reload()
        assert (await box_of(page, ".panel"))["width"] == 384


@pytest.mark.parametrize(
    "body",
    [SESSION + PANEL, widget('display="expanded" resizable="false"'), widget()],
    ids=["embedded", "switched off", "minimized"],
)
async def test_only_an_open_widget_has_a_grip(visit: Visit, body: str) -> None:
    page = await visit(body, scene="listening")
    await expect(page.locator(".grip")).to_be_hidden()


async def test_below_the_mobile_breakpoint_a_widget_is_a_sheet(visit: Visit) -> None:
    page = await visit(
        widget('display="expanded"'),
        scene="listening",
        viewport={"width": 641, "height": 700},
        reduced_motion="reduce",
    )
    assert (await box_of(page, ".panel"))["width"] == 384
    await expect(page.locator(".grip")).to_be_visible()
    await page.set_viewport_size({"width": 640, "height": 700})
    await expect(page.locator(".grip")).to_be_hidden()
    box = await box_of(page, ".panel")
    assert (box["x"], box["width"], box["y"] + box["height"]) == (0, 640, 700)
    await drag(page, ".stage", (300, 10))
    assert await box_of(page, ".panel") == box
    await page.evaluate("() => { harness.surface.position = 'top-end'; }")
    await page.evaluate("() => harness.painted()")
    assert (await box_of(page, ".panel"))["y"] == 0
    for value, width in (("400", 384), ("false", 384), ("900", 640)):
        await page.evaluate(
            "(value) => harness.surface.setAttribute('mobile-breakpoint', value)", value
        )
        await page.evaluate("() => harness.painted()")
        assert (await box_of(page, ".panel"))["width"] == width, value


async def test_a_contained_widget_floats_in_the_element_around_it(visit: Visit) -> None:
    body = f'{SESSION}<div class="stand"><livelayer-avatar contained></livelayer-avatar></div>'
    page = await visit(body, scene="listening", reduced_motion="reduce")
    stand = await box_of(page, ".stand")
    right, bottom = stand["x"] + stand["width"], stand["y"] + stand["height"]
    bubble = await box_of(page, ".bubble")
    assert (bubble["x"] + bubble["width"], bubble["y"] + bubble["height"]) == (
        right - 16,
        bottom - 16,
    )
    await drag(page, ".bubble", (stand["x"] + 60, stand["y"] + 60))
    bubble = await box_of(page, ".bubble")
    assert (bubble["x"], bubble["y"]) == (stand["x"] + 16, stand["y"] + 16)
    await page.locator(".bubble").click()
    await pull(page, (900, 900))
    box = await box_of(page, ".panel")
    assert (box["x"], box["y"]) == (stand["x"] + 16, stand["y"] + 16)
    assert (box["width"], box["height"]) == (stand["width"] - 32, stand["height"] - 32)
    await page.evaluate("() => { document.querySelector('.stand').style.marginTop = '300px'; }")
    moved = await box_of(page, ".stand")
    assert moved["y"] > 300
    assert (await box_of(page, ".panel"))["y"] == moved["y"] + 16


# What is around the picture ----------------------------------------------------------------------


async def test_without_show_minimize_nothing_minimises_it_but_the_page(visit: Visit) -> None:
    page = await visit(widget('display="expanded" show-minimize="false"'), scene="listening")
    await expect(page.locator(".minimise")).to_be_hidden()
    await page.locator("textarea").press("Escape")
    await expect(page.locator(".panel")).to_be_visible()
    await page.evaluate("() => { harness.surface.display = 'minimized'; }")
    await expect(page.locator(".bubble")).to_be_visible()


async def test_without_show_close_no_person_hides_it(visit: Visit) -> None:
    page = await visit(widget('display="expanded" show-close="false"'), scene="listening")
    await page.locator(".options-switch").click()
    await expect(page.get_by_role("button", name="Captions")).to_be_visible()
    await expect(page.get_by_role("button", name="Hide")).to_have_count(0)
    await page.evaluate("() => { harness.surface.chromeless = true; }")
    await expect(page.locator(".head .close")).to_be_hidden()


async def test_without_chrome_the_picture_fills_the_widget_and_the_ways_out_stay(
    visit: Visit, enact: Enact
) -> None:
    body = widget('display="expanded" chromeless')
    page = await visit(body, scene="listening", reduced_motion="reduce")
    for part in (".status", ".team-switch", ".options-switch", ".controls", ".composer"):
        await expect(page.locator(part)).to_be_hidden()
    assert await box_of(page, ".stage") == await box_of(page, ".panel")
    await enact(page, "microphone-denied")
    await expect(page.locator(".notice")).to_be_visible()
    await enact(page, "absent")
    await page.evaluate("() => { harness.surface.chromeless = true; }")
    await expect(page.get_by_role("button", name="Try again")).to_be_visible()
    assert await faults_of(page) == []
    await page.get_by_role("button", name="Hide").click()
    await expect(page.locator(".tab")).to_be_focused()


async def test_compact_controls_unfold_the_rarer_ones(visit: Visit) -> None:
    page = await visit(panel("compact-controls"), scene="listening", reduced_motion="reduce")
    rare = [page.locator(f"button{name}") for name in (".camera", ".screen", ".speaker")]
    more = page.get_by_role("button", name="More controls")
    for one in rare:
        await expect(one).to_be_hidden()
    await expect(page.locator(".controls .microphone")).to_be_visible()
    await expect(more).to_have_attribute("aria-expanded", "false")
    await more.focus()
    await page.keyboard.press("Enter")
    await expect(more).to_have_attribute("aria-expanded", "true")
    await expect(more).to_be_focused()
    for one in rare:
        await expect(one).to_be_visible()
    assert await faults_of(page) + await page.evaluate(SMALL) == []
    rows = await page.evaluate("""() => {
        const buttons = [...harness.surface.shadowRoot.querySelectorAll(".controls .switch")];
        return buttons.filter((one) => one.checkVisibility()).map((one) => {
            const { x, y } = one.getBoundingClientRect();
            return [Math.round(y), Math.round(x)];
        });
    }""")
    assert rows == sorted(rows)  # the order of the Tab key is the order in which they are seen
    await page.evaluate("() => { harness.surface.compactControls = false; }")
    await expect(more).to_be_hidden()
    await expect(rare[0]).to_be_visible()


async def test_a_greeting_is_shown_until_the_first_word(visit: Visit, enact: Enact) -> None:
    page = await visit(panel('greeting="Hello there"'), scene="idle")
    await expect(page.locator(".placeholder .greeting")).to_have_text("Hello there")
    await enact(page, "listening")
    await page.evaluate("(silent) => harness.play(silent)", SILENT)
    caption = page.locator(".captions .agent")
    await expect(caption).to_have_text("Hello there")
    await expect(page.locator(".captions")).not_to_have_attribute("aria-hidden", "true")
    await enact(page, "listening")
    await expect(caption).not_to_have_text("Hello there")
    await expect(page.locator(".captions")).to_have_attribute("aria-hidden", "true")
    await expect(page.locator(".placeholder .greeting")).to_be_hidden()


IMAGE = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/%3E"


async def test_the_page_s_picture_and_loop_win_over_the_agent_s(visit: Visit) -> None:
    page = await visit(panel(f'avatar-image-url="{IMAGE}"'), scene="idle")
    await page.evaluate(
        """() => harness.play({state: {agent_config: {name: "Ada",
            avatarImageUrl: "/harness/none.png", idleLoopUrl: null}}})"""
    )
    portrait = page.locator(".stage .portrait")
    await expect(portrait).to_be_visible()
    await expect(portrait).to_have_attribute("src", IMAGE)
    await page.evaluate("() => { harness.surface.idleLoopUrl = '/harness/page.css'; }")
    await expect(page.locator(".loop")).to_have_attribute("src", "/harness/page.css")
    await page.evaluate("() => { harness.surface.avatarImageUrl = 'javascript:alert(1)'; }")
    await expect(portrait).not_to_have_attribute("src", "javascript:alert(1)")


async def test_the_picture_is_blurred_until_the_agent_speaks(visit: Visit) -> None:
    page = await visit(panel(), scene="blurred")
    stage = page.locator(".stage")
    await expect(stage).to_have_attribute("data-blurred", "")
    await page.evaluate("() => harness.play({state: {agent_state: 'speaking'}})")
    await expect(stage).not_to_have_attribute("data-blurred", "")
    await page.evaluate("() => harness.play({state: {agent_state: 'listening'}})")
    await page.evaluate("() => harness.painted()")
    await expect(stage).not_to_have_attribute("data-blurred", "")
    # The next conversation begins anew.
    away = {"state": {"connection_state": "disconnected", "agent_active": False}}
    await page.evaluate("(away) => harness.play(away)", away)
    back = {"state": {"connection_state": "connected", "agent_active": True, "transcript": []}}
    await page.evaluate("(back) => harness.play(back)", back)
    await expect(stage).to_have_attribute("data-blurred", "")


async def test_a_picture_is_not_blurred_for_long(visit: Visit) -> None:
    page = await visit(SESSION)
    await page.clock.install()
    await visit(panel(), page=page, scene="blurred")
    stage = page.locator(".stage")
    await expect(stage).to_have_attribute("data-blurred", "")
    await page.clock.fast_forward(5000)
    await expect(stage).not_to_have_attribute("data-blurred", "")


async def test_a_surface_says_that_it_is_being_transformed(visit: Visit) -> None:
    page = await visit(panel('transforming lang="de"'), scene="speaking")
    cover = page.locator(".cover")
    await expect(cover).to_have_text("Wird verwandelt…")
    await expect(page.locator(".stage")).to_have_attribute("aria-busy", "true")
    await page.evaluate("() => { harness.surface.transformingLabel = 'Putting on a hat'; }")
    await expect(cover).to_have_text("Putting on a hat")
    await expect(page.locator("[role=status]")).to_contain_text("Putting on a hat")
    await page.evaluate("() => { harness.surface.transforming = false; }")
    await expect(cover).to_be_hidden()
    await expect(page.locator(".stage")).not_to_have_attribute("aria-busy", "true")


# Sounds ------------------------------------------------------------------------------------------

TONES = """() => {
    window.tones = [];
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...given) {
        window.tones.push(Math.round(this.frequency.value));
        return start.apply(this, given);
    };
}"""
AWAY = {"state": {"connection_state": "disconnected", "agent_active": False}}
BACK = {"state": {"connection_state": "connected", "agent_active": True}}


async def played(page: Page, fields: Any) -> list[int]:
    """The notes that begin as these fields arrive."""
    found: list[int] = await page.evaluate(
        "async (fields) => { tones.length = 0; harness.play(fields); await harness.painted();"
        " return [...tones]; }",
        fields,
    )
    return found


async def test_a_conversation_s_beginning_and_end_are_heard_once(visit: Visit) -> None:
    body = panel("sounds") + "<livelayer-avatar sounds></livelayer-avatar>"
    page = await visit(body, scene="listening")
    await page.evaluate(TONES)
    assert await played(page, AWAY) == [784, 523]
    assert await played(page, BACK) == [523, 784]
    await page.evaluate("() => { harness.client.speaker.muted = true; }")
    assert await played(page, AWAY) == []


async def test_before_a_person_used_the_page_nothing_is_tried(visit: Visit) -> None:
    """A browser would refuse and complain; to it, each call of Playwright is a gesture."""
    page = await visit(panel("sounds"), scene="listening")
    await page.evaluate(TONES)
    await page.evaluate(
        "() => Object.defineProperty(navigator, 'userActivation', {value: {hasBeenActive: false}})"
    )
    assert await played(page, AWAY) == []


async def test_what_the_agent_did_on_the_page_is_heard(visit: Visit) -> None:
    page = await visit(panel("sounds"), scene="listening")
    await page.evaluate(TONES)
    await page.locator("h1").click()
    heard = await page.evaluate("""() => {
        const tell = (command, ok) => {
            tones.length = 0;
            const detail = { command, ok, reason: null };
            harness.client.dispatchEvent(new CustomEvent("command", { detail }));
            return [...tones];
        };
        return [tell("navigate", true), tell("submit_form", true), tell("navigate", false),
            tell("scroll_page", true), tell("toString", true)];
    }""")
    assert heard == [[659, 880], [1047], [], [], []]


async def test_thinking_ticks_until_it_ends(visit: Visit) -> None:
    page = await visit(SESSION)
    await page.clock.install()
    await visit(panel("sounds"), page=page, scene="listening")
    await page.evaluate(TONES)
    await page.locator("h1").click()
    await page.evaluate("() => harness.play({state: {agent_state: 'thinking'}})")
    await page.clock.run_for(3000)
    assert await page.evaluate("() => tones.splice(0)") == [330, 330]
    await page.evaluate("() => harness.play({state: {agent_state: 'speaking'}})")
    await page.clock.run_for(3000)
    assert await page.evaluate("() => tones") == []


async def test_nothing_is_heard_unless_the_page_asks_for_sounds(visit: Visit) -> None:
    page = await visit(panel(), scene="listening")
    await page.evaluate(TONES)
    await page.locator("h1").click()
    assert await played(page, AWAY) == []
    await page.evaluate("() => { harness.surface.sounds = true; }")
    assert await played(page, BACK) == [523, 784]
    await page.evaluate("() => harness.surface.remove()")
    assert await played(page, AWAY) == []
