"""What people meet before the first word, what they may do, and what never gets in the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect

from .test_access import SMALL, faults_of
from .test_options import box_of, panel, widget
from .test_talk import calls

pytestmark = pytest.mark.anyio

Visit = Callable[..., Awaitable[Page]]
Enact = Callable[[Page, str], Awaitable[None]]

TEXTS = ["What does it cost?", "Compare the plans", "Fill in the form"]
IDLE = {"connection_state": "idle", "agent_active": False, "agent_state": "idle", "transcript": []}


async def names(page: Page) -> list[str]:
    """What the client was asked to do, without what drawing asks of it."""
    wanted = ("open", "connect", "disconnect", "sendMessage", "take")
    return [name for name, *_ in await calls(page, *wanted)]


# Suggestions and the field -----------------------------------------------------------------------


@pytest.mark.parametrize("given", ["|".join(TEXTS), str(TEXTS).replace("'", '"')])
async def test_a_suggestion_is_sent_as_typed_and_begins_the_conversation(
    visit: Visit, given: str
) -> None:
    page = await visit(panel(f"suggestions='{given}'"), scene="idle")
    buttons = page.locator(".placeholder .suggestion")
    assert await buttons.all_inner_texts() == TEXTS
    await buttons.nth(1).dblclick()
    assert await names(page) == ["sendMessage", "connect"]
    assert await calls(page, "sendMessage") == [["sendMessage", TEXTS[1]]]


async def test_in_a_conversation_suggestions_stay_until_the_first_word(
    visit: Visit, enact: Enact
) -> None:
    page = await visit(panel(), scene="listening")
    await page.evaluate("(texts) => { harness.surface.suggestions = [...texts, 'x', 'y']; }", TEXTS)
    await page.evaluate("() => harness.play({state: {transcript: []}})")
    buttons = page.locator(".side .suggestion")
    await expect(buttons).to_have_count(3)
    await buttons.first.click()
    assert await names(page) == ["sendMessage"]
    await page.evaluate("() => harness.play({pending: [{id: 'p', text: 'x'}]})")
    await expect(buttons.first).to_be_hidden()
    await page.evaluate("() => harness.play({pending: []})")
    await expect(buttons.first).to_be_visible()
    await enact(page, "listening")
    await expect(buttons.first).to_be_hidden()


@pytest.mark.parametrize(
    "changes", [{"joined": {"typing": False}}, {"joined": {"grants": ["watch"]}}]
)
async def test_who_may_not_type_gets_no_suggestion_and_no_field(
    visit: Visit, changes: dict[str, Any]
) -> None:
    page = await visit(panel("suggestions='a|b'"), scene="idle")
    await expect(page.locator(".placeholder .suggestion").first).to_be_visible()
    await page.evaluate("(changes) => harness.play(changes)", changes)
    await expect(page.locator(".placeholder .suggestion").first).to_be_hidden()
    await expect(page.locator("textarea")).to_be_hidden()


async def test_a_text_typed_at_home_begins_the_conversation(visit: Visit) -> None:
    page = await visit(panel(), scene="idle")
    await page.get_by_role("textbox", name="Message Ada").fill("hello")
    await page.keyboard.press("Enter")
    assert await names(page) == ["sendMessage", "connect"]


async def test_what_is_typed_while_the_server_is_gone_begins_it_when_it_is_back(
    visit: Visit, enact: Enact
) -> None:
    page = await visit(panel(), scene="recovering-before")
    await expect(page.locator(".placeholder .hint")).to_contain_text("Nothing you type is lost.")
    field = page.get_by_role("textbox", name="Message Ada")
    await field.fill("hello")
    await field.press("Enter")
    assert await names(page) == ["sendMessage"]
    await page.evaluate("() => harness.play({link: {phase: 'live'}})")
    await page.evaluate("() => harness.painted()")
    assert await names(page) == ["sendMessage", "connect"]
    # Once, and not after a person has ended it.
    await page.evaluate(
        "(idle) => { harness.play({state: {connection_state: 'connected'}});"
        " harness.play({state: idle}); }",
        IDLE,
    )
    await page.evaluate("() => harness.painted()")
    assert await names(page) == ["sendMessage", "connect"]


async def test_an_avatar_alone_begins_its_session_with_a_suggestion(visit: Visit) -> None:
    page = await visit(
        '<livelayer-avatar mode="embedded" class="tall" agent-id="ada" agent-name="Ada Lovelace" '
        'suggestions="Hello">'
    )
    await expect(page.locator(".placeholder .who")).to_have_text("Ada Lovelace")
    await page.get_by_role("button", name="Hello").click()
    await expect(page.locator("livelayer-session")).to_have_count(1)
    assert await names(page) == ["sendMessage", "open", "connect"]


# The microphone ----------------------------------------------------------------------------------


async def test_a_press_on_talk_turns_the_microphone_on_and_nothing_else_does(visit: Visit) -> None:
    page = await visit(panel(), scene="idle")
    await page.evaluate("() => harness.surface.connect()")
    assert await names(page) == ["connect"]
    await page.get_by_role("button", name="Talk to Ada").click()
    assert sorted(await names(page)) == ["connect", "connect", "take"]
    assert await calls(page, "take") == [["take", "microphone"]]


@pytest.mark.parametrize("attributes", ['allow-mic="false"', "auto-connect"])
async def test_without_a_press_or_a_microphone_none_is_taken(visit: Visit, attributes: str) -> None:
    page = await visit(panel(attributes), scene="idle")
    await page.evaluate("() => harness.painted()")
    if "allow-mic" in attributes:
        await page.get_by_role("button", name="Talk to Ada").click()
    assert "connect" in await names(page)
    assert await calls(page, "take") == []


MICROPHONE = {
    "thinking": ("Turn microphone on", "Ada cannot hear you", "false"),
    "listening": ("Mute microphone", "Microphone on", "true"),
    "microphone-muted": ("Unmute microphone", "Microphone muted", "false"),
    "microphone-waiting": ("Turn microphone off", "On, until Ada is ready", "true"),
    "microphone-silenced": ("Mute microphone", "Muted by your device", "false"),
    "microphone-denied": ("Turn microphone on", "Blocked in the browser", "false"),
    "microphone-busy": ("Turn microphone on", "In use elsewhere", "false"),
    "microphone-missing": ("Turn microphone on", "Not available", "false"),
}


async def test_the_microphone_is_the_largest_control_and_says_how_it_stands(
    visit: Visit, enact: Enact
) -> None:
    page = await visit(panel())
    button = page.locator(".controls .microphone")
    for scene, (does, stands, pressed) in MICROPHONE.items():
        await enact(page, scene)
        await expect(button.locator(".does")).to_have_text(does)
        await expect(button.locator(".is")).to_have_text(stands)
        await expect(button).to_have_accessible_name(does)
        await expect(button).to_have_attribute("aria-pressed", pressed)
        box = await box_of(page, ".controls .microphone")
        others = await page.evaluate(
            """() => [...harness.surface.shadowRoot.querySelectorAll(".controls .switch")]
                .filter((one) => one.checkVisibility() && !one.matches(".microphone"))
                .map((one) => one.getBoundingClientRect()).map((at) => at.width * at.height)"""
        )
        assert all(box["width"] * box["height"] > 3 * other for other in others), scene


@pytest.mark.parametrize("display", ["minimized", "hidden"])
async def test_a_small_widget_shows_what_is_sent(visit: Visit, enact: Enact, display: str) -> None:
    page = await visit(widget(f'persist-key="" display="{display}"'), scene="speaking")
    small = page.locator(".bubble" if display == "minimized" else ".tab")
    await expect(small.locator(".sending")).to_be_hidden()
    await enact(page, "screen")
    await enact(page, "listening")  # the camera is still on
    await expect(small.locator(".sending .icon:not(.off)")).to_have_count(3)
    await expect(small).to_have_accessible_name(
        "Open conversation with Ada. Listening. Microphone on. Camera on. Screen shared"
        if display == "minimized"
        else "Show Ada. Microphone on. Camera on. Screen shared"
    )
    await enact(page, "microphone-muted")
    await expect(small.locator(".sending .icon:not(.off)")).to_have_count(2)
    assert await faults_of(page) == []


# Who it is ---------------------------------------------------------------------------------------


async def test_the_agent_keeps_its_name_while_the_server_is_gone_and_when_it_is_new(
    visit: Visit,
) -> None:
    page = await visit(panel(), scene="listening")
    who = page.locator(".placeholder .who")
    gone = {
        "joined": None,
        "link": {"phase": "recovering", "code": "unmounted", "retryAt": 3000},
        "state": {**IDLE, "connection_state": "disconnected", "agent_config": None},
    }
    await page.evaluate("(gone) => harness.play(gone)", gone)
    await expect(page.get_by_role("textbox", name="Message Ada")).to_be_visible()
    new = {"link": {"phase": "live"}, "state": IDLE}
    await page.evaluate("(new_) => harness.play(new_)", new)
    await expect(who).to_have_text("Ada")
    await page.evaluate("() => harness.play({state: {agent_id: 'other'}})")
    await expect(who).to_have_text("Assistant")  # it is another agent


async def test_a_page_names_the_agent(visit: Visit, enact: Enact) -> None:
    page = await visit(panel('agent-name="Grace"'), scene="idle")
    await expect(page.get_by_role("button", name="Talk to Grace")).to_be_visible()
    await enact(page, "speaking")
    await expect(page.locator(".status .name")).to_have_text("Grace")


async def test_a_portrait_stands_for_the_orb(visit: Visit, enact: Enact) -> None:
    page = await visit(panel(), scene="home-portrait")
    face, portrait = await box_of(page, ".face"), await box_of(page, ".face .portrait")
    assert face["width"] - portrait["width"] == 10  # what is left of the orb is a ring
    await enact(page, "idle")
    await expect(page.locator(".face .portrait")).to_be_hidden()
    await expect(page.locator(".face .orb")).to_be_visible()


async def test_a_portrait_and_a_live_picture_lie_above_the_bubbles_orb(visit: Visit) -> None:
    page = await visit(widget('persist-key=""'), scene="home-portrait")
    top = """() => {
        const root = harness.surface.shadowRoot;
        for (const one of root.querySelectorAll(".bubble *")) one.style.pointerEvents = "auto";
        for (const one of root.querySelectorAll(".ring, .chip")) one.style.display = "none";
        const at = root.querySelector(".disc").getBoundingClientRect();
        const found = root.elementsFromPoint(at.left + at.width / 2, at.top + at.height / 2);
        const drawn = found.filter((one) => getComputedStyle(one).opacity !== "0");
        return drawn[0].getAttribute("class");
    }"""
    assert await page.evaluate(top) == "portrait"
    page = await visit(widget('persist-key=""'), scene="speaking", page=page)
    await expect(page.locator(".bubble")).to_have_attribute("data-painted", "")
    assert await page.evaluate(top) == "live"


async def test_an_orb_moves_with_the_voice_and_only_while_somebody_looks(visit: Visit) -> None:
    page = await visit(panel(), scene="speaking-voice-only")
    scale = "() => Number(getComputedStyle(harness.surface.shadowRoot.querySelector('.orb')).scale)"
    await page.wait_for_function(f"() => ({scale})() > 1.03")
    await page.evaluate("() => harness.client.set({level: 0})")
    await page.wait_for_function(f"() => ({scale})() === 1")
    states = """() => harness.surface.shadowRoot.querySelector(".face .orb")
        .getAnimations({subtree: true}).map((one) => one.playState)"""
    assert await page.evaluate(states) == ["running", "running"]
    await page.evaluate(
        """() => {
            document.querySelector("h1").style.blockSize = "4000px";
            scrollTo(0, 0);
        }"""
    )
    await page.wait_for_function(f"() => ({states})().every((one) => one === 'paused')")


# What never gets in the way ----------------------------------------------------------------------


@pytest.mark.parametrize("width", [320, 390, 1280])
async def test_captions_have_their_room_and_what_is_cut_fades(
    visit: Visit, enact: Enact, width: int
) -> None:
    page = await visit(panel(), viewport={"width": width, "height": 800})
    for scene in ("listening", "thinking", "captions-long", "first-word", "sound-blocked"):
        await enact(page, scene)
        stage, captions = await box_of(page, ".stage"), await box_of(page, ".captions")
        assert stage["y"] + stage["height"] <= captions["y"] + 0.5, scene
        cut = await page.evaluate(
            """() => [...harness.surface.shadowRoot.querySelectorAll(".captions .line span")]
                .filter((one) => one.checkVisibility()
                    && (one.scrollHeight - one.clientHeight > 3
                        || one.scrollWidth - one.clientWidth > 3))
                .map((one) => getComputedStyle(one).maskImage)"""
        )
        assert "none" not in cut, scene
        if scene == "captions-long":
            assert len(cut) >= 1


async def test_a_line_of_before_this_page_is_no_caption_over_a_silent_face(visit: Visit) -> None:
    page = await visit(panel())
    base = {"link": {"phase": "live"}, "state": {"connection_state": "connected"}}
    old = [{"id": "t1", "role": "agent", "text": "Said minutes ago.", "final": True}]
    await page.evaluate(
        """([base, transcript]) => harness.play({...base, state: {...base.state, transcript,
            agent_active: true, agent_state: "listening"}})""",
        [base, old],
    )
    await expect(page.locator(".status .word")).to_have_text("Listening")
    await expect(page.locator(".captions .line:visible")).to_have_count(0)
    # What is being spoken is no thing of the past, nor is what comes.
    await page.evaluate("() => harness.play({state: {agent_state: 'speaking'}})")
    await expect(page.locator(".captions .agent")).to_have_text("Said minutes ago.")
    await page.evaluate(
        """() => harness.play({state: {agent_state: "listening", transcript: [
            ...harness.client.state.transcript,
            {id: "t2", role: "user", text: "And now?", final: true}]}})"""
    )
    await expect(page.locator(".captions .line:visible")).to_have_text(["And now?"])


async def test_the_event_log_is_an_option(visit: Visit) -> None:
    page = await visit(panel(), scene="listening")
    item = page.get_by_role("button", name="Event log")
    await page.locator(".options-switch").click()
    await expect(page.get_by_role("button", name="Captions")).to_be_visible()
    await expect(item).to_have_count(0)
    await page.evaluate("() => { harness.surface.eventLog = true; }")
    await item.click()
    await expect(page.locator(".debug")).to_be_visible()


TIPS = """(selector) => {
    const root = harness.surface.shadowRoot;
    const field = root.querySelector(".composer").getBoundingClientRect();
    const px = (value) => Number.parseFloat(value) || 0;
    return [...root.querySelectorAll(".controls .switch[data-tip]")]
        .filter((one) => one.checkVisibility()).map((one) => {
            one.focus({focusVisible: true});
            const at = one.getBoundingClientRect();
            const tip = getComputedStyle(one, "::after");
            if (tip.content === "none") return [one.dataset.tip, "no tooltip"];
            const [x = "0", y = "0"] = tip.translate.split(" ");
            const share = (value, of) => value.endsWith("%") ? px(value) / 100 * of : px(value);
            const [width, height] = [px(tip.width), px(tip.height)];
            const left = at.left + px(tip.left) + share(x, width);
            const top = at.top + px(tip.top) + share(y, height);
            const apart = top >= field.bottom - 0.5 || top + height <= field.top
                || left >= field.right || left + width <= field.left;
            return [one.dataset.tip, apart];
        }).filter(([, apart]) => apart !== true);
}"""


@pytest.mark.parametrize("mode", ["embedded", "widget"])
@pytest.mark.parametrize("attributes", ["", "compact-controls", 'allow-mic="false"'])
@pytest.mark.parametrize("direction", ["ltr", "rtl"])
async def test_no_tooltip_covers_the_field(
    visit: Visit, mode: str, attributes: str, direction: str
) -> None:
    extra = f'display="expanded" {attributes}'
    body = panel(attributes) if mode == "embedded" else widget(extra)
    page = await visit(body, scene="listening", direction=direction)
    await page.evaluate(
        """() => { for (const [name, value] of [["compact-controls", ATTRIBUTE]]) if (value)
            harness.surface.setAttribute(name, ""); }""".replace(
            "ATTRIBUTE", "true" if "compact" in attributes else "false"
        )
    )
    if "compact" in attributes:
        await page.locator(".more-switch").click()
    await page.keyboard.press("Tab")  # so that focus is shown
    assert await page.evaluate(TIPS) == []


@pytest.mark.parametrize("touch", [False, True])
async def test_a_keyboard_comes_up_only_when_it_is_wanted(visit: Visit, touch: bool) -> None:
    page = await visit(
        widget(), scene="listening", has_touch=touch, is_mobile=touch, reduced_motion="reduce"
    )
    bubble = page.locator(".bubble")
    await bubble.focus()
    await (bubble.tap() if touch else bubble.click())
    await expect(page.locator(".panel")).to_be_visible()
    focused = "() => harness.surface.shadowRoot.activeElement?.tagName"
    assert await page.evaluate(focused) == ("BUTTON" if touch else "TEXTAREA")


# Above the page ----------------------------------------------------------------------------------

AROUND = [
    "transform: translateX(40px)",
    "filter: blur(1px)",
    "overflow: hidden; position: relative; inline-size: 120px; block-size: 60px",
    "contain: strict; block-size: 50px",
    "perspective: 100px",
]


@pytest.mark.parametrize("style", AROUND)
async def test_nothing_around_a_widget_cuts_it(visit: Visit, style: str) -> None:
    session, avatar = widget().split("<livelayer-avatar", 1)
    body = f'{session}<div style="{style}"><livelayer-avatar{avatar}</div>'
    page = await visit("", reduced_motion="reduce")
    await page.evaluate(
        """([style, body]) => {
            document.body.insertAdjacentHTML("beforeend", body);
            document.body.lastElementChild.style.cssText = style;
        }""",
        [style, body.replace(f' style="{style}"', "")],
    )
    at = await box_of(page, ".bubble")
    assert (at["x"] + at["width"], at["y"] + at["height"]) == (1280 - 16, 800 - 16)
    await page.locator(".bubble").click()  # Playwright presses what is seen there
    await expect(page.locator(".panel")).to_be_visible()
    # Moved by its page, it is above again.
    await page.evaluate("() => document.querySelector('main').append(harness.surface)")
    assert await page.evaluate(ABOVE) is True
    await page.evaluate("() => { harness.surface.setAttribute('mode', 'embedded'); }")
    await page.evaluate("() => harness.painted()")
    assert await page.evaluate(ABOVE) is False
    await expect(page.locator(".panel")).to_be_visible()


ABOVE = "() => harness.surface.shadowRoot.querySelector('.root').matches(':popover-open')"


async def test_a_page_that_orders_its_layers_and_a_contained_widget_are_left_alone(
    visit: Visit,
) -> None:
    page = await visit(widget())
    assert await page.evaluate(ABOVE) is True
    await page.evaluate("() => { harness.surface.contained = true; }")
    await page.evaluate("() => harness.painted()")
    assert await page.evaluate(ABOVE) is False
    await page.evaluate(
        """() => {
            harness.surface.contained = false;
            harness.surface.style.setProperty("--ll-z-index", "5");
        }"""
    )
    await page.evaluate("() => harness.painted()")
    assert await page.evaluate(ABOVE) is False
    root = page.locator(".root")
    assert await root.evaluate("(one) => getComputedStyle(one).zIndex") == "5"


async def test_the_tab_key_reaches_a_widget_where_it_stands_in_the_page(visit: Visit) -> None:
    first, avatar = widget().split("<livelayer-avatar", 1)
    body = f"{first}<button>before</button><livelayer-avatar{avatar}<button>after</button>"
    page = await visit(body, scene="listening")
    reached = []
    for _ in range(3):
        await page.keyboard.press("Tab")
        reached.append(
            await page.evaluate(
                "() => (document.activeElement.shadowRoot?.activeElement ?? document.activeElement)"
                ".className || document.activeElement.textContent"
            )
        )
    assert reached == ["before", "bubble", "after"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("direction", "lang"), [("ltr", "de"), ("rtl", "ar")])
@pytest.mark.parametrize("forced", ["none", "active"])
async def test_the_home_is_for_everybody(
    visit: Visit, enact: Enact, theme: str, direction: str, lang: str, forced: str
) -> None:
    page = await visit(
        panel(f'lang="{lang}"'),
        theme=theme,
        direction=direction,
        viewport={"width": 320, "height": 640},
        reduced_motion="reduce",
        forced_colors=forced,
    )
    for scene in ("home", "home-portrait", "first-word", "recovering-typed"):
        await enact(page, scene)
        assert await faults_of(page) + await page.evaluate(SMALL) == [], scene
