"""Everybody can use it: axe finds nothing, targets are large, no page's style gets in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

pytestmark = pytest.mark.anyio

Visit = Callable[..., Awaitable[Page]]
Enact = Callable[[Page, str], Awaitable[None]]

SESSION = "<livelayer-session></livelayer-session>"
WIDGET = '<livelayer-avatar mode="widget"></livelayer-avatar>'
PANEL = '<livelayer-avatar mode="embedded" class="tall"></livelayer-avatar>'
PHONE: Any = {"width": 320, "height": 640}

SMALL = """() => {
    const root = document.querySelector("livelayer-avatar").shadowRoot;
    return [...root.querySelectorAll("button, input, textarea, [tabindex='0']")]
        .filter((one) => one.checkVisibility())
        .map((one) => [one.ariaLabel ?? one.className, one.getBoundingClientRect()])
        .filter(([, box]) => box.width < 44 || box.height < 44)
        .map(([name, box]) => `${name}: ${box.width} x ${box.height}`);
}"""


AXE = Axe()
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
VIOLATIONS = """async (rules) =>
    (await axe.run({runOnly: rules, resultTypes: ["violations"]})).violations"""


async def faults_of(page: Page) -> list[str]:
    """What axe complains of; what it approves of, hundreds of nodes, stays in the page."""
    if await page.evaluate("() => typeof axe === 'undefined'"):
        await page.evaluate(AXE.axe_script)
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in await page.evaluate(VIOLATIONS, RULES)
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_in_any_state_and_every_target_is_large(
    visit: Visit, enact: Enact, scenes: list[str], theme: str
) -> None:
    page = None
    found: dict[str, list[str]] = {}
    for name in scenes:
        body = PANEL if name == "missing" else SESSION + PANEL
        page = await visit(body, theme=theme, page=page, viewport=PHONE, reduced_motion="reduce")
        await enact(page, name)
        if faults := await faults_of(page) + await page.evaluate(SMALL):
            found[name] = faults
    assert not found


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("direction", "lang"), [("ltr", "en"), ("rtl", "ar")])
async def test_devices_are_picked_by_keys_alone_and_axe_finds_nothing(
    visit: Visit, theme: str, direction: str, lang: str
) -> None:
    panel = PANEL.replace("class=", f'lang="{lang}" class=')
    page = await visit(
        SESSION + panel,
        scene="listening",
        theme=theme,
        direction=direction,
        viewport=PHONE,
        reduced_motion="reduce",
    )
    opener = page.locator(".devices-switch")
    await opener.focus()
    await page.keyboard.press("Enter")
    await expect(opener).to_have_attribute("aria-expanded", "true")
    items = page.locator(".devices .item")
    await expect(items.first).to_be_focused()
    assert await items.count() == 8  # each kind's default, and five devices
    assert await faults_of(page) + await page.evaluate(SMALL) == []

    # What is plugged in while the menu is open leaves the focus where it is.
    await page.keyboard.press("ArrowDown")
    await page.evaluate("""() => {
        const { microphone } = harness.client.devices;
        const list = [{id: "m0", label: "New"}, ...microphone.list];
        harness.client.set({devices: {microphone: {...microphone, list}}});
    }""")
    await expect(items).to_have_count(9)
    await expect(items.filter(has_text="Built-in microphone")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(opener).to_be_focused()
    calls = await page.evaluate(
        "() => harness.client.calls.filter(([name]) => name === 'chooseDevice')"
    )
    assert calls == [["chooseDevice", "microphone", "m1"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_in_a_widget_however_it_is_shown(visit: Visit, theme: str) -> None:
    page = await visit(
        SESSION + PANEL + WIDGET, scene="speaking", theme=theme, reduced_motion="reduce"
    )
    for display in ("hidden", "minimized", "expanded"):
        await page.evaluate(
            "(display) => { document.querySelector('[mode=widget]').display = display; }", display
        )
        await page.evaluate("() => harness.painted()")
        assert await faults_of(page) == []
    for menu in (".options-switch", ".team-switch"):
        await page.locator(f"[mode=widget] {menu}").click()
        assert await faults_of(page) == []


async def test_the_tab_key_reaches_everything_in_the_order_in_which_it_is_seen(
    visit: Visit,
) -> None:
    page = await visit(scene="messages")
    reached: list[str] = []
    for _ in range(30):
        await page.keyboard.press("Tab")
        name = await page.evaluate(
            "() => { const one = harness.surface.shadowRoot.activeElement;"
            " return one && (one.getAttribute('aria-label') ?? one.textContent); }"
        )
        if name is None:
            break
        reached.append(name)
    assert reached == [
        "Talk to someone else",
        "Options",
        "Transcript",
        "Send again",
        "Discard",
        "Message Ada",
        "Send",
        "Turn microphone on",
        "Turn camera on",
        "Share your screen",
        "Choose devices",
        "Mute sound",
        "End conversation",
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("direction", "lang"), [("ltr", "de"), ("rtl", "ar")])
async def test_a_question_is_answered_by_keys_alone_and_axe_finds_nothing(
    visit: Visit, theme: str, direction: str, lang: str
) -> None:
    panel = PANEL.replace("class=", f'lang="{lang}" class=')
    page = await visit(
        SESSION + panel,
        scene="approval",
        theme=theme,
        direction=direction,
        viewport=PHONE,
        reduced_motion="reduce",
    )
    approve = page.locator(".answer.approve")
    await expect(page.locator(".answer.refuse")).to_be_focused()
    await expect(approve).to_be_enabled()
    assert await faults_of(page) + await page.evaluate(SMALL) == []
    await page.keyboard.press("Tab")
    await expect(approve).to_be_focused()
    await page.keyboard.press("Enter")
    calls = await page.evaluate(
        "() => harness.client.calls.filter(([name]) => name === 'answerApproval')"
    )
    assert calls == [["answerApproval", 1, True]]


async def test_the_button_that_interrupts_is_reached_between_the_field_and_send(
    visit: Visit,
) -> None:
    page = await visit(scene="speaking")
    await page.get_by_role("textbox", name="Message Ada").focus()
    reached: list[str] = []
    for _ in range(2):
        await page.keyboard.press("Tab")
        reached.append(
            await page.evaluate(
                "() => harness.surface.shadowRoot.activeElement.getAttribute('aria-label')"
            )
        )
    assert reached == ["Interrupt Ada", "Send"]


async def test_what_has_focus_shows_it(visit: Visit) -> None:
    page = await visit(scene="listening")
    await page.keyboard.press("Tab")
    style = await page.locator(".team-switch").evaluate(
        "(one) => { const { outlineStyle, outlineWidth } = getComputedStyle(one);"
        " return [outlineStyle, outlineWidth]; }"
    )
    assert style == ["solid", "2px"]


async def test_nothing_moves_for_who_wants_little_motion(
    visit: Visit, enact: Enact, scenes: list[str]
) -> None:
    page = await visit(reduced_motion="reduce")
    for name in scenes:
        if name == "missing":
            continue
        await enact(page, name)
        moving = await page.evaluate(
            "() => harness.surface.shadowRoot.getAnimations().map((one) => one.animationName)"
        )
        assert moving == [], name
    await enact(page, "speaking")
    assert await page.locator(".root").evaluate(
        "(one) => one.style.getPropertyValue('--_level')"
    ) in ("", "0.00")


async def test_the_level_moves_only_while_somebody_looks(visit: Visit) -> None:
    page = await visit(SESSION + PANEL, scene="speaking")
    level = "(one) => Number(one.style.getPropertyValue('--_level'))"
    root = page.locator(".root")
    await page.wait_for_function(
        "() => Number(harness.surface.shadowRoot.querySelector('.root')"
        ".style.getPropertyValue('--_level')) > 0.5"
    )
    await page.evaluate("() => harness.surface.setAttribute('hide-on', '/**')")
    await page.evaluate("() => harness.painted()")
    assert await root.evaluate(level) == 0


async def test_states_differ_by_shape_where_colours_are_forced(visit: Visit, enact: Enact) -> None:
    page = await visit(SESSION + PANEL, forced_colors="active", reduced_motion="reduce")
    shapes: dict[str, str] = {}
    for name in ("listening", "thinking", "speaking", "reconnecting"):
        await enact(page, name)
        shapes[name] = await page.locator(".status .sign").evaluate(
            """(sign) => [...sign.children].map((one) => {
                const { width, height, borderRadius, borderTopWidth } = getComputedStyle(one);
                const seen = one.checkVisibility();
                return seen ? [width, height, borderRadius, borderTopWidth].join() : "";
            }).join("|")"""
        )
    assert len(set(shapes.values())) == len(shapes)
    assert await faults_of(page) == []


BOXES = """() => {
    const root = document.querySelector("livelayer-avatar").shadowRoot;
    const seen = {};
    for (const one of root.querySelectorAll("*")) {
        if (!one.checkVisibility() || one.closest(".unseen")) continue;
        const at = one.getBoundingClientRect();
        const { color, backgroundColor, fontSize, fontFamily, display } = getComputedStyle(one);
        const name = `${one.tagName}.${one.getAttribute("class")}#${Object.keys(seen).length}`;
        seen[name] = [at.x, at.y, at.width, at.height, color, backgroundColor, fontSize,
                      fontFamily, display].join(" ");
    }
    return seen;
}"""


@pytest.mark.parametrize("display", ["expanded", "minimized"])
async def test_nothing_of_a_page_s_style_gets_in(visit: Visit, display: str) -> None:
    body = f'{SESSION}<livelayer-avatar mode="widget" display="{display}"></livelayer-avatar>'
    page = await visit(body, scene="messages", reduced_motion="reduce")
    calm = await page.evaluate(BOXES)
    page = await visit(body, scene="messages", reduced_motion="reduce", css="hostile.css")
    hostile = await page.evaluate(BOXES)
    assert len(calm) > (40 if display == "expanded" else 4)
    assert {
        name: (calm[name], hostile.get(name)) for name in calm if calm[name] != hostile.get(name)
    } == {}


async def test_an_embedded_panel_survives_a_hostile_page(visit: Visit) -> None:
    page = await visit(SESSION + PANEL, scene="listening", css="hostile.css")
    box = await page.locator(".panel").bounding_box()
    assert box is not None
    assert box["height"] >= 300
    assert box["width"] >= 320
    await page.get_by_role("button", name="End conversation").click()


async def test_nothing_of_ours_gets_out(visit: Visit) -> None:
    heading = "() => JSON.stringify(Object.entries(getComputedStyle(document.querySelector('h1'))))"
    page = await visit("")
    before = await page.evaluate(heading)
    page = await visit(SESSION + PANEL + WIDGET, scene="speaking")
    assert await page.evaluate(heading) == before
    globals_ = "() => Object.keys(window).filter((one) => /^(ll|avatar|livelayer)/i.test(one))"
    assert await page.evaluate(globals_) == []
    assert await page.evaluate("() => document.styleSheets.length") == 1


async def test_a_page_sets_the_design_s_values_and_reaches_its_parts(visit: Visit) -> None:
    page = await visit(SESSION + PANEL, scene="idle", reduced_motion="reduce")
    await page.evaluate(
        """() => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(`livelayer-avatar { --ll-accent: rgb(0, 90, 60); --ll-radius: 0px;
                --ll-font: monospace; } livelayer-avatar::part(action) { border-radius: 3px; }`);
            document.adoptedStyleSheets = [sheet];
        }"""
    )
    style = """(one) => {
        const { backgroundColor, borderRadius, fontFamily } = getComputedStyle(one);
        return [backgroundColor, borderRadius, fontFamily];
    }"""
    button = await page.locator(".primary").evaluate(style)
    assert button == ["rgb(0, 90, 60)", "3px", "monospace"]
    assert (await page.locator(".panel").evaluate(style))[1] == "0px"


async def test_a_theme_is_the_reader_s_unless_the_page_says_one(visit: Visit) -> None:
    page = await visit(SESSION + PANEL, scene="idle", theme="dark")
    background = "(one) => getComputedStyle(one).backgroundColor"
    panel = page.locator(".panel")
    assert await panel.evaluate(background) == "rgb(19, 21, 27)"
    await page.evaluate("() => harness.surface.setAttribute('theme', 'light')")
    await page.evaluate("() => harness.painted()")
    assert await panel.evaluate(background) == "rgb(255, 255, 255)"
