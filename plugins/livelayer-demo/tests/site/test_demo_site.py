"""The demo's site in a real browser: what a visitor says is done there, over one connection."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from livelayer_bus.messages import Capability
from livelayer_bus.testing import PATIENCE, polled

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

COUNTING = """
window.peers = 0;
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) { super(...given); window.peers += 1; }
};
"""
PLAYING = """(() => {
  const { media } = document.querySelector("livelayer-session").client;
  return media.phase === "live" && media.stream.getVideoTracks().length === 1;
})()"""
PICTURE = """(() => {
  const avatars = [...document.querySelectorAll("livelayer-avatar")];
  const videos = avatars.flatMap((one) => [...one.shadowRoot.querySelectorAll("video")]);
  return videos.some((video) => video.videoWidth > 0 && !video.paused && video.currentTime > 0);
})()"""


async def until(page: Page, condition: str) -> None:
    """Wait for an expression; Playwright's own way is refused by the page's policy."""
    with anyio.fail_after(PATIENCE):
        await page.evaluate(
            f"async () => {{ while (!({condition})) await new Promise(requestAnimationFrame); }}"
        )


async def visit(page: Page, url: str, path: str = "/") -> None:
    """Open a page of the site, and wait until the agent is seen on it."""
    await page.add_init_script(COUNTING)
    await page.goto(url + path)
    await page.evaluate("window.sameDocument = true")
    await until(page, PLAYING)


async def type_to_agent(page: Page, text: str) -> None:
    """Type into the panel or the bubble, whichever is open."""
    box = page.locator("livelayer-avatar").get_by_role("textbox").first
    await box.fill(text)
    await box.press("Enter")


async def say(page: Page, text: str) -> None:
    """The same by the element's own method."""
    await page.evaluate(
        "(text) => document.querySelector('livelayer-session').sendMessage(text)", text
    )


async def connection(page: Page) -> dict[str, Any]:
    """How often this document connected, and how many elements sound."""
    found: dict[str, Any] = await page.evaluate(
        "({peers, audios: document.querySelectorAll('audio').length, same: window.sameDocument})"
    )
    return found


ONE = {"peers": 1, "audios": 1, "same": True}


async def test_what_is_typed_is_done_on_the_page_over_one_connection(page: Page, site: Any) -> None:
    await visit(page, site.url)
    await until(page, PICTURE)

    await type_to_agent(page, "go to pricing")
    await page.wait_for_url("**/pricing")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("You pay for one agent")
    await expect(page.locator("nav a[aria-current=page]")).to_have_text("Pricing")
    await site.until_said("Here we are: pricing.")
    assert await connection(page) == ONE

    await say(page, "scroll down")
    await until(page, "scrollY > 100")
    await site.until_said("I have scrolled down.")

    await say(page, "go to sign up")
    await page.wait_for_url("**/sign-up")
    await until(page, "scrollY === 0")
    await say(page, "my name is Ada")
    await site.until_said("Nice to meet you, Ada.")
    await say(page, "fill in my name")
    await expect(page.get_by_label("Your name")).to_have_value("Ada")
    await site.until_said("Your name is in the form, Ada.")
    await say(page, "submit")
    await expect(page.get_by_role("heading", name="Thank you, Ada.")).to_be_visible()
    await site.until_said("I have sent the form.")

    await until(page, PLAYING)
    assert await connection(page) == ONE


async def test_a_form_that_lacks_something_is_not_sent_and_the_agent_says_so(
    page: Page, site: Any
) -> None:
    await visit(page, site.url, "/sign-up")

    await say(page, "submit")

    await site.until_said("something in it is missing or not valid yet")
    await expect(page.locator("#name-fault")).to_have_text("Please fill this in.")
    await expect(page.get_by_role("heading", name="Thank you")).to_be_hidden()


async def test_a_page_that_is_not_there_is_no_success(page: Page, site: Any) -> None:
    await visit(page, site.url, "/docs")

    await say(page, "go to the moon")

    await site.until_said("I could not go to moon")
    assert page.url == f"{site.url}/docs"
    await say(page, "fill in my name Ada")
    await site.until_said("If this page has no form, say: go to sign up.")
    assert await connection(page) == ONE


async def test_links_back_and_forward_keep_the_connection_and_a_reload_the_conversation(
    page: Page, site: Any
) -> None:
    await visit(page, site.url)
    await page.get_by_role("link", name="Docs", exact=True).first.click()
    await page.wait_for_url("**/docs")
    await page.go_back()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("The agent that stays")
    await page.go_forward()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Ten minutes")
    await until(page, PLAYING)
    assert await connection(page) == ONE
    await say(page, "tell me a joke")
    await site.until_said("Two surfaces walk into a room")

    await page.reload()

    await until(page, PLAYING)
    said = "document.querySelector('livelayer-session').client.state.transcript"
    await until(page, f"{said}.some(({{ text }}) => text.includes('Two surfaces walk'))")
    await polled(lambda: len(site.surface.viewers()) == 1)


@pytest.mark.parametrize("capabilities", [frozenset[Capability]({"navigate"})])
async def test_what_was_not_allowed_is_refused_and_the_agent_says_so(page: Page, site: Any) -> None:
    await visit(page, site.url)

    await say(page, "scroll down")

    await site.until_said("I may not do that here")
    assert await page.evaluate("scrollY") == 0


@pytest.mark.parametrize("path", ["/", "/pricing", "/docs", "/sign-up", "/nowhere"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_to_complain_about(
    page: Page, shared_site: Any, path: str, scheme: Any
) -> None:
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await visit(page, shared_site.url, path)

    found = await Axe().run(page)

    assert found.violations_count == 0, found.generate_report()


async def test_on_a_phone_the_bubble_leaves_the_home_page_to_the_panel(
    page: Page, shared_site: Any
) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await visit(page, shared_site.url)
    bubble = page.locator("livelayer-avatar[mode=widget] .bubble")
    await expect(page.locator("livelayer-avatar[mode=embedded]")).to_be_visible()
    await expect(bubble).to_have_count(1)
    await expect(bubble).to_be_hidden()

    await page.get_by_role("link", name="Docs", exact=True).first.click()
    await page.wait_for_url("**/docs")
    await expect(bubble).to_be_visible()
    assert await connection(page) == ONE
    await page.go_back()
    await expect(bubble).to_be_hidden()
    await page.set_viewport_size({"width": 1280, "height": 800})
    await expect(bubble).to_be_visible()
