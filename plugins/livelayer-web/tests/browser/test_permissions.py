"""What a surface does not allow: a page has no control for it, and its script is refused."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from livelayer_bus.testing import polled

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

LIVE = "client.link.phase === 'live' && client.state?.agent_active"
ASKED = """
window.asked = 0;
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (wish) => {
  window.asked += 1;
  return real(wish);
};
"""
BY_HAND = """async () => {
  const { client } = document.querySelector("livelayer-session");
  const authorization = `Bearer ${client.joined.key}`;
  const headers = { authorization, "content-type": "application/json" };
  const ask = async (method, path, json) => {
    const body = JSON.stringify(json);
    const answer = await fetch(`/livelayer/${path}`, { method, headers, body });
    return [answer.status, (await answer.json()).code];
  };
  const message = { type: "user_message", text: "typed by hand" };
  return [
    await ask("PUT", "sources/camera"),
    await ask("PUT", "sources/screen"),
    await ask("POST", "messages", { id: "by-hand-1", message }),
  ];
}"""


@pytest.fixture
async def person(launch: Any, new_context: Any) -> Page:
    """A page with a camera and a microphone, which are granted without a question."""
    browser: Browser = await launch(
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", whole=True
    )
    context = await new_context(browser)
    await context.add_init_script(ASKED)
    page: Page = await context.new_page()
    return page


async def test_a_page_shows_what_is_allowed_and_its_script_gets_no_more(
    person: Page, show: Any, until: Any
) -> None:
    async with show(agent="puppet", allow=["microphone"]) as shown:
        await shown.connect()
        page = person
        await page.goto(shown.url)
        await until(page, LIVE)
        panel = page.locator("livelayer-avatar").first
        await expect(panel.locator("button.microphone")).to_be_visible()
        for control in ("button.camera", "button.screen", "textarea"):
            await expect(panel.locator(control)).to_be_hidden()

        # Whatever the page's markup says, and whatever its script does.
        await panel.evaluate(
            "(one) => { one.allowCamera = true; one.setAttribute('allow-typing', ''); }"
        )
        await page.evaluate("document.querySelector('livelayer-session').client.take('camera')")
        assert await until(page, "client.sources.camera.code") == "CAMERA_NOT_ALLOWED"
        assert await page.evaluate("asked") == 0  # nobody was asked for a camera
        refused = await page.evaluate(
            "document.querySelector('livelayer-session').sendMessage('x').catch(({code}) => code)"
        )
        assert refused == "not_allowed"
        assert await page.evaluate(BY_HAND) == [[403, "not_allowed"]] * 3
        for control in ("button.camera", "textarea"):
            await expect(panel.locator(control)).to_be_hidden()
        assert shown.agent.of("user_message") == []
        assert shown.session.transcript == ()

        # What is allowed works as ever, over the same connection.
        await panel.locator("button.microphone").click()
        await until(page, "client.sources.microphone.phase === 'on'")
        await polled(lambda: shown.published() == ["microphone"])
