"""What an agent may do to a page is done there, and what became of it is told; nothing else is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from playwright.async_api import Page, expect

pytestmark = pytest.mark.anyio

LIVE = "client.link.phase === 'live' && client.state?.agent_active"


async def write(page: Page, text: str) -> None:
    """Type into the surface that is open; the bubble is opened for it."""
    avatar = page.locator("livelayer-avatar").last
    box = page.locator("livelayer-avatar").get_by_role("textbox", name="Message").first
    if not await box.is_visible():
        await avatar.get_by_role("button", name="Open conversation").click()
    await box.fill(text)
    await box.press("Enter")


# By typed text, to the demo's agent -----------------------------------------------------------


async def test_what_is_typed_is_done_on_pages_that_are_really_left(
    page: Page, show: Any, until: Any
) -> None:
    async with show() as shown:
        await shown.connect()
        await page.goto(shown.url)
        await until(page, LIVE)

        await write(page, "go to pricing")
        await page.wait_for_url("**/pricing")
        await until(page, LIVE)
        await write(page, "scroll down")
        await until(page, "scrollY > 100")

        await write(page, "go to sign up")
        await page.wait_for_url("**/sign-up")
        await until(page, LIVE)
        await write(page, "my name is Ada")
        await shown.until_said("Nice to meet you, Ada.")
        await write(page, "fill in my name")
        await expect(page.get_by_label("Name")).to_have_value("Ada")
        await shown.until_said("Your name is in the form, Ada.")

        await write(page, "submit")
        await page.wait_for_url("**/thanks?name=Ada&team=Blue")
        await shown.until_said("I have sent the form.")


# By an agent's own messages -------------------------------------------------------------------


@pytest.fixture(scope="module")
async def stage(show: Any) -> AsyncGenerator[Any]:
    async with show(agent="puppet") as stage:
        await stage.connect()
        yield stage


@pytest.fixture
async def shown(stage: Any, page: Page, until: Any) -> Any:
    """The puppet, and a page that it has met nothing of yet."""
    await stage.until_left()
    stage.agent.got.clear()
    await page.goto(f"{stage.url}/sign-up")
    await until(page, LIVE)
    return stage


async def test_every_command_is_carried_out_and_answered_by_its_page(
    page: Page, shown: Any, until: Any
) -> None:
    agent = shown.agent
    fill = {"type": "fill_form", "formId": "contact", "values": {"name": "Ada", "team": "Red"}}
    assert (await agent.command(fill))["ok"]
    await expect(page.get_by_label("Name")).to_have_value("Ada")
    await expect(page.get_by_label("Team")).to_have_value("Red")

    focus = {"type": "focus_field", "formId": "contact", "fieldName": "team"}
    assert (await agent.command(focus))["ok"]
    await expect(page.get_by_label("Team")).to_be_focused()

    answer = await agent.command({"type": "request_page_context", "requestId": "r1"})
    assert answer["requestId"] == "r1"
    assert answer["ok"]
    (context,) = agent.of("page_context")
    assert context["requestId"] == "r1"
    assert context["context"]["title"] == "Sign up"
    assert (await agent.command({"type": "request_routes", "requestId": "r2"}))["ok"]
    assert agent.of("routes")[0]["requestId"] == "r2"

    answer = await agent.command({"type": "submit_form", "formId": "contact", "requestId": "r3"})
    assert (answer["ok"], answer["requestId"]) == (True, "r3")
    assert agent.of("form_submitted") == [
        {"type": "form_submitted", "formId": "contact", "requestId": "r3"}
    ]
    await page.wait_for_url("**/thanks?name=Ada&team=Red")

    assert (await agent.command({"type": "navigate", "href": "/pricing"}))["ok"]
    await page.wait_for_url("**/pricing")
    down = {"type": "scroll_page", "direction": "bottom", "behavior": "instant"}
    assert (await agent.command(down))["ok"]
    await until(page, "scrollY + innerHeight >= document.documentElement.scrollHeight - 1")
    up = {"type": "scroll_to", "selector": "#enterprise", "behavior": "instant"}
    assert (await agent.command(up))["ok"]
    await expect(page.get_by_role("heading", name="Enterprise")).to_be_in_viewport()
    assert (await agent.command({"type": "click", "selector": "#buy"}))["ok"]
    await expect(page.get_by_role("button", name="Bought")).to_be_visible()


async def test_a_form_that_is_blocked_is_told_with_its_reason(page: Page, shown: Any) -> None:
    answer = await shown.agent.command(
        {"type": "submit_form", "formId": "contact", "requestId": "r1"}
    )

    assert (answer["ok"], answer["reason"], answer["requestId"]) == (False, "failed", "r1")
    assert shown.agent.of("form_submit_blocked") == [
        {
            "type": "form_submit_blocked",
            "formId": "contact",
            "requestId": "r1",
            "reason": "validation",
            "invalidFields": ["Name: is required"],
        }
    ]
    assert page.url.endswith("/sign-up")


async def test_what_cannot_be_done_is_told_with_its_reason(page: Page, shown: Any) -> None:
    async def reason(kind: str, **fields: object) -> str:
        answer = await shown.agent.command({"type": kind, **fields})
        assert not answer["ok"]
        assert page.url.endswith("/sign-up")
        return str(answer["reason"])

    assert await reason("click", selector="#nowhere") == "failed"
    assert await reason("click", selector="livelayer-avatar") == "failed"
    assert await reason("scroll_to", selector="((") == "invalid"
    assert await reason("fill_form", formId="nowhere", values={"name": "Ada"}) == "failed"
    assert await reason("fill_form", formId="contact", values={"nothing": "Ada"}) == "failed"
    assert await reason("fill_form", formId="contact", values={"team": "Green"}) == "failed"
    assert await reason("focus_field", formId="contact", fieldName="nothing") == "failed"


async def test_a_page_narrows_what_its_surface_may_do(page: Page, shown: Any, until: Any) -> None:
    await page.evaluate(
        "document.querySelector('livelayer-session').setAttribute('capabilities', 'scroll click')"
    )

    answer = await shown.agent.command({"type": "navigate", "href": "/pricing"})

    assert (answer["ok"], answer["reason"]) == (False, "capability")
    assert page.url.endswith("/sign-up")


async def test_what_the_surface_may_not_do_never_reaches_a_page(
    page: Page, show: Any, until: Any
) -> None:
    async with show(agent="puppet", capabilities=["scroll"]) as shown:
        await shown.connect()
        await page.goto(f"{shown.url}/sign-up")
        await until(page, LIVE)
        await page.evaluate(
            """window.asked = [];
            addEventListener("agent-command", ({ detail }) => asked.push(detail.command));"""
        )

        fill = {"type": "fill_form", "formId": "contact", "values": {"name": "Ada"}}
        answer = await shown.agent.command(fill)

        assert (answer["ok"], answer["reason"]) == (False, "capability")
        down = {"type": "scroll_page", "direction": "down"}
        assert (await shown.agent.command(down))["ok"]
        assert await page.evaluate("asked") == ["scroll_page"]
        await expect(page.get_by_label("Name")).to_have_value("")


async def test_with_no_page_left_a_command_fails_in_time(page: Page, shown: Any) -> None:
    await page.goto("about:blank")

    answer = await shown.agent.command({"type": "navigate", "href": "/pricing"})

    assert not answer["ok"]
    assert answer["reason"] in ("failed", "timeout")
