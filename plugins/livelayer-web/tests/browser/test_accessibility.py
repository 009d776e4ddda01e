"""The real page in real states, as axe-core and a person without a mouse find it."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, expect

from livelayer_bus.testing import polled

pytestmark = pytest.mark.anyio

LIVE = "client.link.phase === 'live' && client.state?.agent_active"
LOOKS: tuple[tuple[Literal["light", "dark"], int, int], ...] = (
    ("light", 390, 844),
    ("dark", 390, 844),
    ("light", 1280, 800),
    ("dark", 1280, 800),
)


async def complaints(page: Page) -> list[str]:
    """What axe-core objects to, in light and dark, on a phone and a desktop."""
    found: list[str] = []
    for scheme, width, height in LOOKS:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await page.set_viewport_size({"width": width, "height": height})
        for violation in (await Axe().run(page)).response["violations"]:
            where = [(node["target"], node["failureSummary"]) for node in violation["nodes"]]
            found.append(f"{scheme} {width}x{height}: {violation['help']} {where}")
    return found


def panel_of(page: Page) -> Any:
    return page.locator("livelayer-avatar").first


async def test_axe_finds_nothing_in_the_course_of_a_conversation(
    page: Page, show: Any, until: Any
) -> None:
    async with show(agent="puppet") as shown:
        await page.goto(shown.url)
        await until(page, "client.link.phase === 'live'")
        panel = panel_of(page)
        await expect(panel.get_by_role("button", name="Talk to")).to_be_visible()
        found = {"before": await complaints(page)}

        await shown.connect()
        await until(page, LIVE)
        found["connected"] = await complaints(page)

        await shown.agent.speak("Here is what a surface is: one place where a session is shown.")
        await page.set_viewport_size({"width": 390, "height": 844})  # wide, it always shows
        await panel.get_by_role("button", name="Transcript").click()
        field = {"fieldId": "f1", "fieldName": "Name", "kind": "text", "source": "agent"}
        await shown.agent.send({"type": "task_field_updated", "value": "Ada", **field})
        await shown.agent.send({"type": "agent_error", "message": "the voice is away"})
        await expect(panel.get_by_role("log", name="Transcript")).to_contain_text("a surface is")
        await expect(panel.get_by_text("the voice is away").last).to_be_visible()
        found["transcript, fields, a problem"] = await complaints(page)

        await panel.get_by_role("button", name="Options").click()
        found["menu"] = await complaints(page)
        await panel.get_by_role("button", name="Event log").click()
        found["debug"] = await complaints(page)
        await page.keyboard.press("Escape")

        await page.get_by_role("button", name="Open conversation").click()
        found["widget open"] = await complaints(page)
        await page.keyboard.press("Escape")

        await panel.get_by_role("button", name="End conversation").click()
        await until(page, "client.state.connection_state === 'disconnected'")
        found["ended"] = await complaints(page)

        await shown.server.stop()
        await panel.get_by_role("button", name="Continue conversation").click()
        await until(page, "client.state.connection_state === 'error'")
        await expect(panel.get_by_role("button", name="Try again")).to_be_visible()
        found["error"] = await complaints(page)

    assert not any(found.values()), found


async def test_axe_finds_nothing_where_nobody_is_let_in_or_the_server_is_gone(
    page: Page, show: Any, until: Any
) -> None:
    async with show(agent=None, secret="thirty-two bytes that nobody knows") as shown:
        await page.goto(shown.url)
        await until(page, "client.link.phase === 'refused'")
        found = await complaints(page)
        token = shown.surface.token()
        await page.evaluate(
            "(t) => document.querySelector('livelayer-session').setAttribute('token', t)", token
        )
        await until(page, "client.link.phase === 'live'")
    await until(page, "client.link.phase === 'recovering'")

    found += await complaints(page)

    assert not found, found


# Without a mouse ------------------------------------------------------------------------------

FOCUSED = """() => {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  if (element === null || element === document.body) return null;
  const avatar = element.getRootNode().host;
  let marked = false;
  for (let one = element; one instanceof Element && !marked; one = one.parentElement) {
    const style = getComputedStyle(one);
    const lined = style.outlineStyle !== "none" && style.outlineWidth !== "0px";
    marked = lined || style.boxShadow !== "none";
  }
  const box = element.getBoundingClientRect();
  return {
    name: element.getAttribute("aria-label") ?? element.textContent.trim(),
    pressed: element.getAttribute("aria-pressed"),
    mode: avatar instanceof Element ? avatar.getAttribute("mode") ?? "widget" : null,
    marked,
    inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    at: [Math.round(box.left), Math.round(box.top)],
  };
}"""


class Keys:
    """A person with nothing but a keyboard."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def where(self) -> dict[str, Any]:
        """What has the focus."""
        found: dict[str, Any] = await self.page.evaluate(FOCUSED) or {"name": "", "mode": None}
        return found

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.page.keyboard.press(key)

    async def at(self, name: str, *, whole: bool = False) -> None:
        """Wait until the focus is on what is called so, in whole or in part."""

        async def there() -> Any:
            here = (await self.where())["name"]
            return name == here if whole else name in here

        await polled(there)

    async def presses(self) -> None:
        """Wait until the button that has the focus is pressed."""

        async def pressed() -> Any:
            return (await self.where())["pressed"] == "true"

        await polled(pressed)

    async def moved(self, place: list[int]) -> list[int]:
        """Where what has the focus is, once it is elsewhere."""

        async def elsewhere() -> Any:
            now = (await self.where())["at"]
            return None if now == place else now

        found: list[int] = await polled(elsewhere)
        return found

    async def to(self, name: str, mode: str = "embedded", key: str = "Tab") -> dict[str, Any]:
        """Go on until the focus is on what is called so."""
        passed: list[str] = []
        for _ in range(60):
            await self.page.keyboard.press(key)
            here = await self.where()
            if here["mode"] == mode and name in here["name"]:
                assert here["marked"], f"nothing shows that the focus is on {name}"
                assert here["inside"], f"{name} has the focus outside of what is seen"
                return here
            passed.append(here["name"])
        raise AssertionError(f"the keyboard never came to {name}: {passed}")


@pytest.fixture
async def visitor(launch: Any, new_context: Any) -> BrowserContext:
    """Whose devices are there, and may be used."""
    browser: Browser = await launch(
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", whole=True
    )
    size = {"width": 600, "height": 900}
    context: BrowserContext = await new_context(browser, reduced_motion="reduce", viewport=size)
    await context.add_init_script(
        """window.pointed = [];
        for (const kind of ["pointerdown", "mousedown", "touchstart"]) {
          addEventListener(kind, () => window.pointed.push(kind), true);
        }"""
    )
    return context


async def test_everything_is_operated_by_keys_alone(
    visitor: BrowserContext, show: Any, until: Any
) -> None:
    async with show(agent="puppet") as shown:
        page = await visitor.new_page()
        await page.goto(shown.url)
        await until(page, "client.link.phase === 'live'")
        keys = Keys(page)

        await keys.to("Talk to")
        await keys.press("Enter")
        await until(page, LIVE)
        await shown.agent.met()
        await shown.agent.send({"type": "bot_ready"})
        await until(page, "client.state.agent_ready")

        await keys.to("Message")
        await page.keyboard.type("hello")
        await keys.press("Enter")
        await shown.agent.until(lambda: shown.agent.of("user_message") != [])
        await page.keyboard.type("again")
        await keys.to("Send")
        await keys.press("Enter")
        await shown.agent.until(lambda: len(shown.agent.of("user_message")) == 2)

        # Beginning to talk turned the microphone on.
        await shown.until(lambda: shown.session.state.microphone is not None)
        await until(page, "client.sources.microphone.phase === 'on'")
        await keys.to("Mute microphone")
        await keys.press("Space")
        await shown.until(lambda: shown.session.state.microphone.muted)

        await keys.to("Turn camera on")
        await keys.press("Enter")
        await shown.until(lambda: shown.session.state.camera is not None)
        await until(page, "client.sources.camera.phase === 'on'")
        await keys.press("Enter")
        await shown.until(lambda: shown.session.state.camera is None)

        await keys.to("Mute sound")
        await keys.press("Space")
        await until(page, "client.speaker.muted")
        await keys.presses()

        await keys.to("Transcript")
        await keys.press("Space")
        await keys.presses()
        await expect(panel_of(page).get_by_role("log", name="Transcript")).to_be_visible()

        await keys.to("Options", key="Shift+Tab")
        await keys.press("Enter", "ArrowDown", "ArrowDown")
        await keys.at("Event log", whole=True)
        await keys.press("Enter")
        events = panel_of(page).get_by_role("heading", name="Events")
        await expect(events).to_be_visible()
        await keys.press("Escape")
        await expect(events).to_be_hidden()
        await keys.at("Options", whole=True)

        await keys.to("End conversation")
        await keys.press("Enter")
        await until(page, "client.state.connection_state === 'disconnected'")
        assert await page.evaluate("pointed") == []


async def test_the_bubble_is_moved_opened_hidden_and_found_again_by_keys(
    visitor: BrowserContext, show: Any, until: Any
) -> None:
    async with show(agent="puppet") as shown:
        await shown.connect()
        page = await visitor.new_page()
        await page.goto(shown.url)
        await until(page, LIVE)
        keys = Keys(page)

        places = [(await keys.to("Open conversation", "widget"))["at"]]
        for key in ("ArrowUp", "ArrowLeft", "Home", "End", "ArrowRight"):
            await keys.press(key)
            places.append(await keys.moved(places[-1]))
        (x0, y0), (x1, y1), (x2, y2), (x3, y3), (_, y4), last = places
        assert x1 == x0
        assert y1 < y0
        assert x2 < x1
        assert y2 == y1
        assert x3 == x2
        assert y3 < y2
        assert y4 > y3
        assert last == [x0, y0]

        await keys.press("Enter")
        await keys.at("Message")
        await page.keyboard.type("hello")
        await keys.press("Enter")
        await shown.agent.until(lambda: shown.agent.of("user_message") != [])
        await keys.press("Escape")
        await keys.at("Open conversation")

        await keys.press("Space")
        await keys.to("Minimise", "widget", "Shift+Tab")
        await keys.press("Enter")
        await keys.at("Open conversation")

        await keys.press("Enter")
        await keys.to("Options", "widget", "Shift+Tab")
        await keys.press("Enter", "End", "Enter")
        await keys.at("Show")
        await keys.press("Enter")
        await keys.at("Open conversation")
        assert await page.evaluate("pointed") == []
