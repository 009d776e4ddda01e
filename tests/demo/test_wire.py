"""The wire bridge between two real participants: order, answers, and what happens without them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any, Protocol

import anyio
import pytest
from livekit import rtc

from livelayer_bus.demo.guide import Outcome
from livelayer_bus.demo.wire import OUTBOX_LIMIT, WireBridge

pytestmark = pytest.mark.anyio

PATIENCE = 10.0  # seconds


class Stage(Protocol):
    """What `conftest` hands out."""

    url: str

    def agent_token(self) -> str: ...
    def user_token(self, identity: str = "user") -> str: ...


class Wire:
    """A bridge in one room, and a page that sees what it sends."""

    def __init__(self) -> None:
        self.agent, self.page = rtc.Room(), rtc.Room()
        self.lines: list[str] = []
        self.notices: list[dict[str, Any]] = []
        self.seen: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._heard = asyncio.Event()
        self.bridge = WireBridge(
            self.agent,
            on_user_message=self._on_line,
            on_notice=lambda message: self.notices.append(dict(message)),
        )
        self.page.on("data_received", lambda packet: self.seen.put_nowait(json.loads(packet.data)))

    async def answer(self, **message: Any) -> None:
        await self.page.local_participant.publish_data(json.dumps(message), reliable=True)

    async def until_heard(self) -> None:
        """Return when everything that the page has sent so far was taken in."""
        self._heard.clear()
        await self.answer(type="user_message", text="heard?")
        with anyio.fail_after(PATIENCE):
            await self._heard.wait()

    def _on_line(self, text: str) -> None:
        if text == "heard?":
            self._heard.set()
        else:
            self.lines.append(text)

    async def next(self) -> dict[str, Any]:
        with anyio.fail_after(PATIENCE):
            return await self.seen.get()


@pytest.fixture
async def wire(embedded: Stage) -> AsyncGenerator[Wire, None]:
    wire = Wire()
    options = rtc.RoomOptions(single_peer_connection=False)
    await wire.agent.connect(embedded.url, embedded.agent_token(), options)
    await wire.page.connect(embedded.url, embedded.user_token(), options)
    wire.bridge.open()
    sending = asyncio.create_task(wire.bridge.run())
    yield wire
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    wire.bridge.close()
    await wire.page.disconnect()
    await wire.agent.disconnect()


async def test_messages_arrive_in_the_order_they_were_sent(wire: Wire) -> None:
    for number in range(50):
        wire.bridge.send({"type": "count", "number": number})
    assert [(await wire.next())["number"] for _ in range(50)] == list(range(50))
    assert wire.bridge.statistics().sent == 50


async def test_a_full_outbox_drops_and_counts(wire: Wire) -> None:
    for number in range(OUTBOX_LIMIT + 5):
        wire.bridge.send({"type": "count", "number": number})
    assert wire.bridge.statistics().dropped == 5


async def test_a_state_is_told_once_and_only_after_the_announcement(wire: Wire) -> None:
    wire.bridge.set_state("listening")
    wire.bridge.announce()
    for state in ("listening", "thinking", "speaking", "listening"):
        wire.bridge.set_state(state)
    wire.bridge.send({"type": "end"})
    seen = [await wire.next() for _ in range(9)]
    assert [item.get("state", item["type"]) for item in seen] == [
        "bot_ready",
        "avatar_stream_ready",
        "listening",
        "thinking",
        "speaking",
        "avatar_active",
        "listening",
        "avatar_idle",
        "end",
    ]


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ({"ok": True}, Outcome.DONE),
        ({"ok": False, "reason": "capability"}, Outcome.REFUSED),
        ({"ok": False, "reason": "invalid"}, Outcome.INVALID),
        ({"ok": False, "reason": "timeout"}, Outcome.TIMEOUT),
        ({"ok": False, "reason": "failed"}, Outcome.FAILED),
        ({"ok": False, "reason": "something new"}, Outcome.FAILED),
        ({}, Outcome.FAILED),
        ({"ok": "yes"}, Outcome.FAILED),
    ],
)
async def test_a_result_says_what_became_of_the_command(
    wire: Wire, result: dict[str, Any], outcome: Outcome
) -> None:
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(wire.bridge.command("navigate", {"href": "/"}))
        assert await wire.next() == {"type": "navigate", "href": "/"}
        await wire.answer(type="command_result", command="navigate", **result)
    assert asked.result() is outcome


async def test_equal_commands_are_answered_in_order_and_others_not_at_all(wire: Wire) -> None:
    async with asyncio.TaskGroup() as group:
        one = group.create_task(wire.bridge.command("navigate", {"href": "/one"}))
        two = group.create_task(wire.bridge.command("navigate", {"href": "/two"}))
        other = group.create_task(wire.bridge.command("click", {}, timeout=0.5))
        for _ in range(3):
            await wire.next()
        await wire.answer(type="command_result", command="navigate", ok=True)
        await wire.answer(type="command_result", command="navigate", ok=False, reason="invalid")
        await wire.answer(type="command_result", command="never_sent", ok=True)
    assert (one.result(), two.result()) == (Outcome.DONE, Outcome.INVALID)
    assert other.result() is Outcome.SILENCE


async def test_a_page_context_is_taken_by_the_request_it_names(wire: Wire) -> None:
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(wire.bridge.page_context())
        request = await wire.next()
        await wire.answer(type="page_context", requestId="somebody else's", context="wrong")
        await wire.answer(type="command_result", command="request_page_context", ok=True)
        await wire.answer(type="page_context", requestId=request["requestId"], context="right")
    assert asked.result() == (Outcome.DONE, "right")
    assert [item["context"] for item in wire.notices] == ["wrong"]


async def test_a_page_that_says_it_is_coming_is_waited_for(wire: Wire) -> None:
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(wire.bridge.page_context(timeout=1.0))
        request = await wire.next()
        await wire.answer(type="page_context_pending")
        await wire.until_heard()
        # Past the bound that would have ended the wait.
        await anyio.sleep(1.1)
        await wire.answer(type="page_context", requestId=request["requestId"], context={"a": 1})
    assert asked.result() == (Outcome.DONE, {"a": 1})


async def test_a_sent_form_answers_its_request_and_is_news_otherwise(wire: Wire) -> None:
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(wire.bridge.command("submit_form", {"formId": "contact"}))
        request = await wire.next()
        await wire.answer(type="form_submitted", formId="contact")
        await wire.answer(
            type="form_submit_blocked",
            formId="contact",
            reason="validation",
            requestId=request["requestId"],
        )
    assert asked.result() is Outcome.BLOCKED
    assert [item["type"] for item in wire.notices] == ["form_submitted"]


async def test_closing_answers_whoever_waits(wire: Wire) -> None:
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(wire.bridge.command("navigate", {"href": "/"}, timeout=60.0))
        await wire.next()
        wire.bridge.close()
    assert asked.result() is Outcome.SILENCE


async def test_lines_of_users_are_bounded_and_empty_ones_ignored(wire: Wire) -> None:
    await wire.answer(type="user_message", text="   ")
    await wire.answer(type="user_message", text=5)
    await wire.answer(type="user_message", text="x" * 10_000)
    await wire.until_heard()
    assert [len(line) for line in wire.lines] == [2_000]
