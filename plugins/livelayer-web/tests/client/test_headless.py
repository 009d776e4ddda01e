"""A plain page drives a session by the module without elements, as the README tells it."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from playwright.async_api import Page, expect

from livelayer_bus.testing import PATIENCE

pytestmark = pytest.mark.anyio

LOADED = """async (path) => {
  await import(path);
  const symbols = Object.getOwnPropertySymbols(globalThis);
  const known = symbols.find(({ description }) => description.startsWith("livelayer-web "));
  return Object.keys(globalThis[known]);
}"""


async def reply(room: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What became of the command, and what was sent before it."""
    before: list[dict[str, Any]] = []
    with anyio.fail_after(PATIENCE):
        while True:
            sent = json.loads((await room.next_sent()).data)
            if sent["type"] == "command_result":
                return sent, before
            before.append(sent)


async def test_a_page_of_its_own_shows_types_and_is_driven(
    web: Any, page: Page, until: Any
) -> None:
    await page.goto(f"{web.url}/headless")
    await until(page, "window.client?.link.phase === 'live'")
    room = await web.connected()
    await until(page, "client.state.agent_active")
    room.agent_says({"type": "agent_state", "state": "speaking"})
    await expect(page.locator("#agent")).to_have_text("speaking")

    await page.get_by_label("Message").fill("Where are the prices?")
    await page.get_by_role("button", name="Send").click()
    with anyio.fail_after(PATIENCE):
        sent = json.loads((await room.next_sent()).data)
    assert (sent["type"], sent["text"]) == ("user_message", "Where are the prices?")
    await expect(page.locator("#said li")).to_have_text(["Where are the prices?"])

    room.agent_says({"type": "request_page_context"})
    result, [context] = await reply(room)
    assert result["ok"]
    assert context["context"]["extras"] == {"plan": "team"}
    assert "A page of its own" in context["context"]["visibleText"]

    room.agent_says({"type": "navigate", "href": "/pricing"})
    result, _ = await reply(room)
    assert result["ok"]
    await expect(page).to_have_url(f"{web.url}/pricing")
    kinds = {kind for kind, _ in await page.evaluate("log")}
    assert {"navigate", "agent-command", "agent-state", "transcript", "connection-change"} == kinds


async def test_its_settings_hold_at_once_and_narrow_what_the_server_allows(
    web: Any, page: Page, until: Any
) -> None:
    await page.goto(f"{web.url}/headless")
    await until(page, "window.client?.link.phase === 'live'")
    room = await web.connected()
    await until(page, "client.state.agent_active")
    scroll = {"type": "scroll_page", "direction": "down"}
    for capabilities, ok in (("navigate", False), ("navigate, scroll", True), (None, True)):
        await page.evaluate("(words) => { settings.capabilities = words; }", capabilities)
        room.agent_says(scroll)
        assert (await reply(room))[0]["ok"] is ok


async def test_the_module_defines_no_element_and_loads_no_view(modules: Page) -> None:
    loaded = await modules.evaluate(LOADED, "/livelayer/js/headless.js")
    assert len(loaded) > 20
    assert [
        path for path in loaded if path.startswith("view/") or path.endswith("element.js")
    ] == []
    names = await modules.evaluate("""async () => {
      const headless = Object.keys(await import("/livelayer/js/headless.js"));
      const defined = Boolean(customElements.get("livelayer-session"));
      const whole = Object.keys(await import("/livelayer/js/livelayer.js"));
      return [headless, defined, headless.filter((name) => !whole.includes(name))];
    }""")
    assert names[1:] == [False, []]
    assert {"SessionClient", "bindPage", "pageContext", "SessionError"} <= set(names[0])
