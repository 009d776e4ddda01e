"""An agent's commands: to the active page, written again after a cut, answered once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from livelayer_web.pages import PATIENCE as PAGE_PATIENCE

from livelayer_bus.messages import Navigate, RequestPageContext, ScrollPage
from livelayer_bus.testing import ScriptedRoom, polled, settle

from .scripted import Page, Serve, Web, code_of

pytestmark = pytest.mark.anyio


async def result_of(room: ScriptedRoom) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((await room.next_sent("command_result")).data)
    return result


async def answer(page: Page, number: int, **body: object) -> int:
    status: int = (await page.ask("POST", f"commands/{number}", body)).status_code
    return status


async def test_the_page_carries_it_out_and_the_agent_hears(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    async with page.events() as events:
        await events.next("snapshot")
        room.agent_says(Navigate("/pricing"))
        command = (await events.next("command")).data
        assert command["message"] == {"type": "navigate", "href": "/pricing"}
        assert await answer(page, command["number"], ok=True) == 204
        assert (await result_of(room))["ok"] is True
        again = await page.ask("POST", f"commands/{command['number']}", {"ok": True})
        assert code_of(again) == (404, "command")
    statistics = web.surface.statistics().commands
    assert statistics is not None
    assert (statistics.waiting, statistics.outcomes) == (0, {"ok": 1})


async def test_replies_reach_the_agent_first_and_in_order(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    async with page.events() as events:
        await events.next("snapshot")
        room.agent_says(RequestPageContext(request_id="7"))
        number = (await events.next("command")).data["number"]
        replies = [
            {"type": "page_context_pending"},
            {"type": "page_context", "context": {"title": "Shop"}, "requestId": "7"},
        ]
        assert await answer(page, number, ok=True, replies=replies) == 204
        await room.next_sent("command_result")
        assert [packet.type for packet in room.sent] == [
            "page_context_pending",
            "page_context",
            "command_result",
        ]


async def test_a_reply_that_cannot_be_sent_leaves_the_command_open(serve: Serve) -> None:
    async with serve(capabilities=("read_page",), max_message_bytes=200) as web:
        room = await web.connect()
        page = await web.page()
        async with page.events() as events:
            await events.next("snapshot")
            room.agent_says(RequestPageContext())
            number = (await events.next("command")).data["number"]
            small = {"type": "page_context", "context": "x"}
            large = {"type": "page_context", "context": "x" * 300}
            too_large = await page.ask(
                "POST", f"commands/{number}", {"ok": True, "replies": [small, large]}
            )
            assert code_of(too_large) == (413, "size")
            no_message = await page.ask("POST", f"commands/{number}", {"ok": True, "replies": [{}]})
            assert code_of(no_message) == (400, "message")
            assert room.sent == ()
            assert await answer(page, number, ok=True, replies=[small]) == 204
            assert (await result_of(room))["ok"] is True


@pytest.mark.parametrize("reason", ["capability", "invalid", "failed"])
async def test_a_page_says_why_it_did_not(web: Web, reason: str) -> None:
    room = await web.connect()
    page = await web.page()
    async with page.events() as events:
        await events.next("snapshot")
        room.agent_says(ScrollPage("down"))
        number = (await events.next("command")).data["number"]
        assert await answer(page, number, ok=False, reason=reason) == 204
        result = await result_of(room)
        assert (result["ok"], result["reason"]) == (False, reason)


async def test_it_goes_to_the_page_used_last_and_only_there(web: Web) -> None:
    room = await web.connect()
    first, second = await web.page(), await web.page()
    async with first.events() as ones, second.events() as twos:
        await ones.next("info")
        await twos.next("info")
        room.agent_says(Navigate("/a"))
        number = (await ones.next("command")).data["number"]
        other = await second.ask("POST", f"commands/{number}", {"ok": True})
        assert code_of(other) == (404, "command")
        assert await answer(first, number, ok=True) == 204
        await second.beat(used=True)
        room.agent_says(Navigate("/b"))
        command = (await twos.next("command")).data
        assert command["message"]["href"] == "/b"
        await answer(second, command["number"], ok=True)
        await web.mounted.unmount()
        assert "command" not in [frame.event for frame in await ones.rest()]


async def test_a_page_that_reloads_gets_it_again(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    async with page.events() as events:
        await events.next("snapshot")
        room.agent_says(Navigate("/pricing"))
        command = (await events.next("command")).data
    await page.leave()
    await web.clock.elapse(PAGE_PATIENCE - 0.1)
    again = await web.page(page.key)
    async with again.events() as events:
        assert (await events.next("command")).data == command
        await web.clock.elapse(1.0)  # it is with its page: nothing fails it now
        await again.beat()
        assert await answer(again, command["number"], ok=True) == 204
        assert (await result_of(room))["ok"] is True


async def test_a_page_whose_stream_was_cut_gets_it_again(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    async with page.events() as events:
        await events.next("snapshot")
        room.agent_says(Navigate("/pricing"))
        command = (await events.next("command")).data
    async with page.events() as events:
        assert (await events.next("command")).data == command


async def test_without_a_page_it_waits_two_seconds_and_fails(web: Web) -> None:
    room = await web.connect()
    room.agent_says(Navigate("/pricing"))
    await settle()
    await web.clock.elapse(PAGE_PATIENCE - 0.1)
    assert room.sent == ()
    await web.clock.elapse(0.1)
    result = await result_of(room)
    assert (result["ok"], result["reason"]) == (False, "failed")


async def test_a_page_that_comes_in_time_gets_what_waited(web: Web) -> None:
    room = await web.connect()
    room.agent_says(Navigate("/pricing"))
    await settle()
    page = await web.page()
    async with page.events() as events:
        assert (await events.next("command")).data["message"]["href"] == "/pricing"


async def test_it_is_given_to_no_second_page_when_the_first_goes_away(web: Web) -> None:
    room = await web.connect()
    first, second = await web.page(), await web.page()
    async with second.events() as others:
        await others.next("snapshot")
        async with first.events() as events:
            await events.next("snapshot")
            room.agent_says(Navigate("/pricing"))
            await events.next("command")
        await first.leave()
        await settle()
        await web.clock.elapse(PAGE_PATIENCE)
        result = await result_of(room)
        assert (result["ok"], result["reason"]) == (False, "failed")
        await web.mounted.unmount()
        assert "command" not in [frame.event for frame in await others.rest()]


async def test_a_page_that_never_answers_is_a_timeout(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    async with page.events() as events:
        await events.next("snapshot")
        room.agent_says(Navigate("/pricing"))
        number = (await events.next("command")).data["number"]
        for _ in range(10):
            await page.beat()
            await web.clock.elapse(1.0)
        result = await result_of(room)
        assert (result["ok"], result["reason"]) == (False, "timeout")
        late = await page.ask("POST", f"commands/{number}", {"ok": True})
        assert code_of(late) == (404, "command")


async def test_hundreds_of_commands_at_once_are_each_answered(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    async with page.events() as events:
        await events.next("snapshot")
        for number in range(200):
            room.agent_says(Navigate(f"/{number}"))
        for number in range(200):
            command = (await events.next("command")).data
            assert command["message"]["href"] == f"/{number}"
            assert await answer(page, command["number"], ok=True) == 204
    statistics = web.surface.statistics().commands
    assert statistics is not None
    await polled(lambda: len(room.sent) == 200)
    assert statistics.outcomes == {"ok": 200}
