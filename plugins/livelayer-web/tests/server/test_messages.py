"""What pages have to say: sent once, told why not, and bounded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from livelayer_web.messages import MAX_REMEMBERED, MessageMemory

from livelayer_bus.testing import PATIENCE, settle

from .scripted import Serve, Web, code_of

pytestmark = pytest.mark.anyio

TYPED = {"type": "user_message", "text": "How much is it?"}


async def test_typed_text_reaches_the_agent_and_makes_the_page_the_active_one(web: Web) -> None:
    room = await web.connect()
    first, second = await web.page(), await web.page()
    assert (await second.say(TYPED)).status_code == 202
    sent = await room.next_sent("user_message")
    assert json.loads(sent.data) == TYPED
    assert [info.active for info in web.surface.viewers()] == [False, True]
    assert web.mounted.last_used > 0
    assert first.id != second.id


async def test_an_agent_that_knows_no_livelayer_gets_the_text_as_chat(web: Web) -> None:
    await web.session.connect()
    room = await web.rooms.next()
    page = await web.page()
    saying = asyncio.create_task(page.say(TYPED))
    await asyncio.wait_for(room.wait_until(lambda: bool(room.sent_texts)), PATIENCE)
    assert (await saying).status_code == 202
    assert [text.text for text in room.sent_texts] == [TYPED["text"]]


async def test_any_other_type_is_passed_on_whole(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    answer = {"type": "quiz_response", "number": 3, "nested": {"a": [1, None]}}
    assert (await page.say(answer)).status_code == 202
    assert json.loads((await room.next_sent("quiz_response")).data) == answer


async def test_the_same_id_is_accepted_again_and_sent_once(web: Web) -> None:
    room = await web.connect()
    page, other = await web.page(), await web.page()
    for asker in (page, page, other):  # a reload in between changes nothing
        assert (await asker.say(TYPED, "the-same-id")).status_code == 202
    assert (await page.say(TYPED, "another-id")).status_code == 202
    await settle()
    assert [packet.type for packet in room.sent].count("user_message") == 2
    statistics = web.surface.statistics().messages
    assert statistics is not None
    assert (statistics.sent, statistics.repeated) == (2, 2)


async def test_the_same_id_under_way_waits_for_the_first(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    room.sending.hold()
    both = [asyncio.create_task(page.say(TYPED, "the-same-id")) for _ in range(2)]
    await room.sending.wait_held()
    await settle()
    assert not any(task.done() for task in both)
    room.sending.open()
    assert [(await task).status_code for task in both] == [202, 202]
    assert [packet.type for packet in room.sent].count("user_message") == 1


async def test_it_is_not_sent_twice_when_the_surface_was_mounted_again(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    assert (await page.say(TYPED)).status_code == 202
    await web.mounted.unmount()
    web.session.mount(web.surface, key="web")
    assert str(web.http.base_url).startswith(await web.surface.wait_url())  # the same port
    again = await web.page(page.key)
    assert (again.id, again.joined["instance"] != page.joined["instance"]) == (page.id, True)
    assert (await again.say(TYPED)).status_code == 202
    assert [packet.type for packet in room.sent].count("user_message") == 1


async def test_what_failed_may_be_posted_again(web: Web) -> None:
    page = await web.page()
    assert code_of(await page.say(TYPED)) == (409, "not_connected")
    room = await web.connect()
    assert (await page.say(TYPED)).status_code == 202
    assert (await room.next_sent("user_message")).type == "user_message"
    statistics = web.surface.statistics().messages
    assert statistics is not None
    assert statistics.failed == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": "message-1"},
        {"id": "short", "message": TYPED},
        {"id": "message-1", "message": []},
        {"id": "message-1", "message": {"text": "no type"}},
        {"id": "message-1", "message": {"type": 3}},
        {"id": "message-1", "message": {"type": "user_message"}},
        {"id": "message-1", "message": {"type": "user_message", "text": " \n"}},
        {"id": "message-1", "message": {"type": "user_message", "text": 3}},
        {"id": "../../etc/passwd", "message": TYPED},
        [],
        "text",
    ],
)
async def test_what_is_no_message_is_refused(web: Web, body: object) -> None:
    await web.connect()
    page = await web.page()
    assert code_of(await page.ask("POST", "messages", body)) == (400, "message")


async def test_json_that_is_none_or_nests_without_end_is_refused(web: Web) -> None:
    await web.connect()
    page = await web.page()
    for data in (b"{", b"\xff", b"[" * 60_000, b'{"id":"message-1","message":' + b"[" * 30_000):
        answer = await web.http.post("messages", headers=page.headers, content=data)
        assert code_of(answer) == (400, "message")


async def test_a_message_that_is_too_long_is_refused_and_not_remembered(serve: Serve) -> None:
    async with serve(max_message_bytes=200) as web:
        room = await web.connect()
        page = await web.page()
        assert page.joined["max_message_bytes"] == 200
        long = {"type": "user_message", "text": "x" * 200}
        assert code_of(await page.say(long)) == (413, "size")
        assert (await page.say(TYPED)).status_code == 202
        assert [packet.type for packet in room.sent].count("user_message") == 1


async def test_a_body_beyond_every_message_is_refused_before_it_is_read(web: Web) -> None:
    page = await web.page()
    answer = await web.http.post("messages", headers=page.headers, content=b"x" * 70_000)
    assert code_of(answer) == (413, "size")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b"x" * 1000

    answer = await web.http.post("messages", headers=page.headers, content=chunks())
    assert code_of(answer) == (413, "size")


async def test_the_memory_of_ids_is_bounded() -> None:
    memory = MessageMemory()
    for number in range(MAX_REMEMBERED + 5):
        memory.begin(f"{number}").set_result(None)
    assert len(memory) == MAX_REMEMBERED
    assert memory.find("4") is None
    assert memory.find("5") is not None


async def test_a_message_that_waits_ends_with_the_surface(web: Web) -> None:
    room = await web.connect()
    page = await web.page()
    room.sending.hold()
    waiting = asyncio.create_task(page.say(TYPED))
    await room.sending.wait_held()
    await asyncio.wait_for(web.mounted.unmount(), PATIENCE)
    assert code_of(await waiting) == (503, "unmounted")
    room.sending.open()
