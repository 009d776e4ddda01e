"""Pages interrupt the agent and answer what it asks, as far as they may."""

from __future__ import annotations

import asyncio

import pytest
from livelayer_web import ViewerTokens

from livelayer_bus.messages import RequestApproval

from .scripted import Page, Serve, Web, code_of

pytestmark = pytest.mark.anyio


async def test_a_page_interrupts_an_agent_that_can_be_told(web: Web) -> None:
    page = await web.page()
    assert code_of(await page.ask("POST", "interrupt", {})) == (409, "not_connected")
    room = await web.connect()
    room.agent_leaves()
    assert code_of(await page.ask("POST", "interrupt", {})) == (409, "not_connected")
    room.agent_joins(confirms=True)
    asking = asyncio.create_task(page.ask("POST", "interrupt", {}))
    packet = await room.next_sent("interrupt")
    room.agent_confirms(packet)
    assert (await asking).status_code == 202


async def test_the_first_answer_of_a_page_counts(serve: Serve) -> None:
    async with serve(capabilities=["ask_approval"]) as web:
        room = await web.connect()
        first, second = await web.page(), await web.page()
        async with first.events() as events:
            await events.next("snapshot")
            room.agent_says(RequestApproval("Go?", request_id="r1"))
            asked = (await events.event("ApprovalRequested")).data["event"]
            path = f"approvals/{asked['number']}"
            for body in ({}, {"approved": "yes"}):
                assert code_of(await first.ask("POST", path, body)) == (400, "body")
            assert (await second.ask("POST", path, {"approved": True})).status_code == 204
            settled = (await events.event("ApprovalSettled")).data["event"]
            assert (settled["outcome"], settled["surface"]) == ("approved", "web")
        answer = await first.ask("POST", path, {"approved": False})
        assert code_of(answer) == (409, "settled")
        assert (await room.next_sent("command_result")).json()["ok"] is True


async def test_without_the_capability_or_the_grant_nobody_answers(serve: Serve) -> None:
    async with serve(capabilities=["navigate"]) as web:
        page = await web.page()
        answer = await page.ask("POST", "approvals/1", {"approved": True})
        assert code_of(answer) == (403, "grant")
    tokens = ViewerTokens("a-secret-that-is-long-enough-for-hs256")
    async with serve(capabilities=["ask_approval"], tokens=tokens) as web:
        joined = await web.join(bearer=web.surface.token(["watch"]))
        watcher = Page(web.http, joined.json())
        for path in ("approvals/1", "interrupt"):
            answer = await watcher.ask("POST", path, {"approved": True})
            assert code_of(answer) == (403, "grant")
