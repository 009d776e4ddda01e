"""A page stops an agent that speaks, and its people are asked; the whole way, in a real room."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

LIVE = "client.link.phase === 'live' && client.state?.agent_active"
ASKED = {"type": "request_approval", "question": "Order it?", "details": "For 20 euros."}


@pytest.fixture(scope="module")
async def shared(show: Any) -> AsyncGenerator[Any]:
    async with show(agent="puppet") as stage:
        await stage.connect()
        yield stage


@pytest.fixture
async def stage(shared: Any) -> Any:
    """The session, once the pages of the test before have left."""
    await shared.until_left()
    return shared


async def test_an_agent_that_speaks_is_interrupted(page: Page, show: Any, until: Any) -> None:
    async with show() as shown:
        await shown.connect()
        await page.goto(shown.url)
        await until(page, LIVE)
        await until(page, "client.state.agent_confirms")
        await page.evaluate(
            "document.querySelector('livelayer-session').sendMessage('what is a surface?')"
        )
        await page.locator("main").get_by_role("button", name="Interrupt").click()
        await shown.until(lambda: shown.session.state.agent_state == "listening")
        assert "for all of them." not in shown.said()
        # It goes on as if a person had spoken.
        await page.evaluate("document.querySelector('livelayer-session').sendMessage('thank you')")
        await shown.until_said("You are welcome.")


async def test_the_first_page_that_answers_does_so_for_all(
    page: Page, stage: Any, until: Any, browser: Browser, new_context: Any
) -> None:
    other = await (await new_context(browser)).new_page()
    for one in (page, other):
        await one.goto(stage.url)
        await until(one, LIVE)
    for number, (answering, name, ok) in enumerate(
        ((page, "Approve", True), (other, "Refuse", False))
    ):
        await stage.agent.send({**ASKED, "requestId": f"r{number}"})
        for one in (page, other):
            dialog = one.locator("main").get_by_role("alertdialog")
            await expect(dialog).to_have_accessible_description("Order it? For 20 euros.")
        # One question is asked once on a page, however many surfaces it has.
        assert await page.get_by_role("alertdialog").count() == 1
        await answering.locator("main").get_by_role("button", name=name).click()
        for one in (page, other):
            await expect(one.get_by_role("alertdialog")).to_have_count(0)
        await stage.agent.until(lambda n=number: len(stage.agent.results(ASKED["type"])) > n)
        result = stage.agent.results(ASKED["type"])[-1]
        assert (result["ok"], result["requestId"]) == (ok, f"r{number}")
        assert result.get("reason") == (None if ok else "declined")


async def test_a_page_that_may_not_be_asked_is_not_and_one_that_reloads_is_asked_again(
    page: Page, stage: Any, until: Any
) -> None:
    await page.goto(stage.url)
    await until(page, LIVE)
    await page.evaluate(
        "document.querySelector('livelayer-session').setAttribute('capabilities', 'navigate')"
    )
    await stage.agent.send({**ASKED, "requestId": "again"})
    await until(page, "client.state.approvals.length === 1")
    assert await page.evaluate("document.querySelector('livelayer-session').client.approvals") == []
    await expect(page.get_by_role("alertdialog")).to_have_count(0)
    await page.reload()
    await expect(page.locator("main").get_by_role("alertdialog")).to_be_visible()
    await stage.agent.send({"type": "approval_withdrawn", "requestId": "again"})
    await expect(page.get_by_role("alertdialog")).to_have_count(0)
