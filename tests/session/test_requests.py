from __future__ import annotations

import anyio
import pytest

from livelayer_bus.errors import (
    MisuseError,
    NotConnectedError,
    RequestTimeoutError,
    SendTimeoutError,
)
from livelayer_bus.messages import Message, PageContext, RawMessage, RequestPageContext, UserMessage
from livelayer_bus.session import Session
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms, settle

pytestmark = pytest.mark.anyio
SOON = 0.05  # seconds
ASK = RawMessage("ask", {"question": "why"})


async def joined(session: Session, rooms: ScriptedRooms) -> ScriptedRoom:
    await session.connect()
    room = await rooms.next()
    room.agent_joins()
    return room


async def test_the_answer_is_the_one_with_the_same_request_id(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    answers: list[Message] = []

    async def ask() -> None:
        message = RawMessage("ask", {"requestId": "mine"})
        answers.append(await session.request(message, reply="answer"))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await room.next_sent("ask")
        room.agent_says({"type": "answer", "requestId": "another", "text": "no"})
        room.agent_says({"type": "else", "requestId": "mine", "text": "no"})
        room.packet({"type": "answer", "requestId": "mine", "text": "no"}, sender="somebody")
        await settle()
        assert answers == []
        room.agent_says({"type": "answer", "requestId": "mine", "text": "yes"})
    assert answers == [RawMessage("answer", {"requestId": "mine", "text": "yes"})]


async def test_an_answer_that_comes_before_the_transport_confirmed_is_taken(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.sending.hold()
    answers: list[Message] = []

    async def ask() -> None:
        message = RawMessage("ask", {"requestId": "mine"})
        answers.append(await session.request(message, reply="answer"))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await room.sending.wait_held()
        room.agent_says({"type": "answer", "requestId": "mine"})
        room.sending.open()
    assert len(answers) == 1


async def test_a_typed_message_and_a_typed_answer(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    answers: list[Message] = []

    async def ask() -> None:
        answers.append(await session.request(RequestPageContext(), reply=PageContext))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        sent = await room.next_sent("request_page_context")
        request = sent.json()["requestId"]
        room.agent_says(PageContext({"title": "Prices"}, request_id=request))
    assert [answer.context for answer in answers if isinstance(answer, PageContext)] == [
        {"title": "Prices"}
    ]


async def test_a_malformed_answer_to_somebody_else_changes_nothing(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    answers: list[Message] = []

    async def ask() -> None:
        answers.append(await session.request(RequestPageContext("mine"), reply=PageContext))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await room.next_sent("request_page_context")
        room.agent_says({"type": "page_context", "requestId": 7})
        await settle()
        room.agent_says(PageContext("it", request_id="mine"))
    assert answers == [PageContext("it", request_id="mine")]


async def test_no_answer_in_time_is_named(session: Session, scripted_rooms: ScriptedRooms) -> None:
    await joined(session, scripted_rooms)
    with pytest.raises(RequestTimeoutError) as caught:
        await session.request(RawMessage("ask", {"requestId": "7"}), reply="answer", timeout=SOON)
    assert (caught.value.message_type, caught.value.request_id) == ("ask", "7")


async def test_requests_at_the_same_time_get_their_own_answers(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    answers: dict[int, Message] = {}

    async def ask(number: int) -> None:
        answers[number] = await session.request({"type": "ask", "number": number}, reply="answer")

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(ask, number)
        asked = [(await room.next_sent("ask")).json() for _ in range(5)]
        for sent in reversed(asked):
            room.agent_says(
                {"type": "answer", "requestId": sent["requestId"], "number": sent["number"]}
            )
    for number, answer in answers.items():
        assert isinstance(answer, RawMessage)
        assert answer.fields["number"] == number


async def test_a_request_without_a_room_is_refused_at_once(session: Session) -> None:
    with pytest.raises(NotConnectedError):
        await session.request(ASK, reply="answer", timeout=60)


async def test_a_message_that_cannot_carry_a_request_id_is_refused(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await joined(session, scripted_rooms)
    with pytest.raises(MisuseError, match="requestId"):
        await session.request(UserMessage("hello"), reply="answer")


async def test_a_request_ends_when_its_agent_is_switched(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)

    async def ask() -> None:
        with pytest.raises(NotConnectedError):
            await session.request(ASK, reply="answer", timeout=2)

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await room.next_sent("ask")
        await session.switch_agent("agt_other")


async def test_a_request_that_could_not_be_sent_says_so(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.agent_leaves()
    with pytest.raises(SendTimeoutError, match="no agent has joined"):
        await session.request(ASK, reply="answer", timeout=SOON)
