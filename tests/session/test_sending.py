from __future__ import annotations

from collections.abc import Mapping

import anyio
import pytest

from livelayer_bus.contract import Outgoing
from livelayer_bus.errors import (
    BrokenError,
    ConnectionLostError,
    MalformedMessageError,
    MessageTooLargeError,
    NotConnectedError,
    SendTimeoutError,
)
from livelayer_bus.events import DataSent
from livelayer_bus.messages import Navigate, RawMessage, UserMessage, encode
from livelayer_bus.session import Session
from livelayer_bus.testing import (
    ManualClock,
    ScriptedRoom,
    ScriptedRooms,
    SentPacket,
    SentText,
    settle,
)

pytestmark = pytest.mark.anyio
HELLO = UserMessage("hello")
SOON = 0.05  # seconds
LIMIT = 15_360  # bytes


async def joined(session: Session, rooms: ScriptedRooms, *, agent: bool = True) -> ScriptedRoom:
    await session.connect()
    room = await rooms.next()
    if agent:
        room.agent_joins()
    return room


@pytest.mark.parametrize(
    "message",
    [
        HELLO,
        RawMessage("user_message", {"text": "hello"}),
        {"type": "user_message", "text": "hello"},
    ],
)
async def test_a_message_goes_to_the_active_agent(
    session: Session, scripted_rooms: ScriptedRooms, message: Outgoing
) -> None:
    room = await joined(session, scripted_rooms)
    with session.subscribe(DataSent) as sent:
        await session.send_data(message)
        event = await anext(sent)
    assert room.sent == (SentPacket(encode(HELLO), None, ("agent",)),)
    assert (event.type, event.data) == ("user_message", encode(HELLO))


async def test_without_requiring_an_agent_it_goes_to_everybody(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms, agent=False)
    await session.send_data(HELLO, require_agent=False)
    assert room.sent == (SentPacket(encode(HELLO)),)


async def test_while_idle_and_after_a_disconnect_sending_is_refused_at_once(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    with pytest.raises(NotConnectedError) as caught:
        await session.send_data(HELLO, timeout=60)
    assert caught.value.connection_state == "idle"
    await joined(session, scripted_rooms)
    await session.disconnect()
    with pytest.raises(NotConnectedError) as caught:
        await session.send_data(HELLO, timeout=60)
    assert caught.value.connection_state == "disconnected"


async def test_after_a_failure_sending_is_refused_with_its_reason(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    (await joined(session, scripted_rooms)).lose("the room is gone", rejoin=False)
    with pytest.raises(ConnectionLostError, match="the room is gone"):
        await session.send_data(HELLO, timeout=60)


async def test_a_message_waits_for_connecting_and_for_the_agent(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.joining.hold()
    async with anyio.create_task_group() as group:
        group.start_soon(session.connect)
        await scripted_rooms.joining.wait_held()
        group.start_soon(session.send_data, HELLO)
        await settle()
        scripted_rooms.joining.open()
        room = await scripted_rooms.next()
        await settle()
        assert room.sent == ()
        room.agent_joins(active=False)
        await settle()
        assert room.sent == ()
        room.agent_activates()
    assert len(scripted_rooms.rooms[0].sent) == 1


async def test_a_message_waits_for_a_reconnect_and_for_a_rejoin(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    room.reconnecting()
    async with anyio.create_task_group() as group:
        group.start_soon(session.send_data, HELLO)
        await settle()
        assert room.sent == ()
        room.reconnected()
    assert len(room.sent) == 1
    room.lose()
    async with anyio.create_task_group() as group:
        group.start_soon(session.send_data, HELLO)
        await manual_clock.wait_for_sleepers()
        manual_clock.advance(1.0)
        again = await scripted_rooms.next()
        await settle()
        assert again.sent == ()
        again.agent_joins()
    assert [len(one.sent) for one in scripted_rooms.rooms] == [1, 1]


async def test_a_timeout_names_what_it_waited_for(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms, agent=False)

    async def reason() -> str:
        with pytest.raises(SendTimeoutError) as caught:
            await session.send_data(HELLO, timeout=SOON)
        assert caught.value.seconds == SOON
        assert caught.value.retryable
        assert not caught.value.handed_over
        return caught.value.reason

    assert await reason() == "no agent has joined"
    room.agent_joins(active=False)
    assert "not active" in await reason()
    room.agent_activates()
    room.reconnecting()
    assert "reconnecting" in await reason()
    assert room.sent == ()


async def test_a_timeout_while_connecting_says_so(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.joining.hold()
    async with anyio.create_task_group() as group:
        group.start_soon(session.connect)
        await scripted_rooms.joining.wait_held()
        with pytest.raises(SendTimeoutError, match="connecting"):
            await session.send_data(HELLO, timeout=SOON)
        scripted_rooms.joining.open()


async def test_a_transport_that_does_not_confirm_is_told_apart(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.sending.hold()
    with pytest.raises(SendTimeoutError) as caught:
        await session.send_data(HELLO, timeout=SOON)
    assert caught.value.handed_over
    assert "may still arrive" in str(caught.value)


async def test_an_error_of_the_transport_is_raised(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.sending.fail(BrokenError("the channel is closed"), times=1)
    with pytest.raises(BrokenError, match="the channel is closed"):
        await session.send_data(HELLO)
    await session.send_data(HELLO)
    assert len(room.sent) == 1


def message_of(size: int) -> Mapping[str, object]:
    empty = len(encode({"type": "blob", "text": ""}))
    return {"type": "blob", "text": "x" * (size - empty)}


async def test_a_message_of_exactly_the_limit_is_sent(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    await session.send_data(message_of(LIMIT))
    assert len(room.sent[0].data) == LIMIT


@pytest.mark.parametrize("size", [LIMIT + 1, 16 * 1024, 64 * 1024, 1_000_000])
async def test_a_message_over_the_limit_is_refused_with_size_and_limit(
    session: Session, scripted_rooms: ScriptedRooms, size: int
) -> None:
    room = await joined(session, scripted_rooms)
    with pytest.raises(MessageTooLargeError) as caught:
        await session.send_data(message_of(size))
    assert (caught.value.size, caught.value.limit) == (size, LIMIT)
    assert room.sent == ()


async def test_the_limit_counts_encoded_bytes(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await joined(session, scripted_rooms)
    with pytest.raises(MessageTooLargeError):
        await session.send_data(UserMessage("\N{SNOWMAN}" * (LIMIT // 3)))


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": 1},
        {"text": "no type"},
        {"type": "x", "value": float("nan")},
        {"type": "x", "value": object()},
    ],
)
async def test_what_is_no_message_is_refused(
    session: Session, scripted_rooms: ScriptedRooms, message: Outgoing
) -> None:
    room = await joined(session, scripted_rooms)
    with pytest.raises(MalformedMessageError):
        await session.send_data(message)
    assert room.sent == ()


async def test_messages_go_out_in_the_order_of_the_calls(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.sending.hold()
    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(session.send_data, {"type": "n", "number": number})
            await settle()
        room.sending.open()
    assert [packet.json()["number"] for packet in room.sent] == list(range(10))


async def test_waiting_behind_a_slow_message_is_named(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.sending.hold()
    async with anyio.create_task_group() as group:
        group.start_soon(session.send_data, HELLO)
        await room.sending.wait_held()
        with pytest.raises(SendTimeoutError, match="earlier messages") as caught:
            await session.send_data(HELLO, timeout=SOON)
        assert not caught.value.handed_over
        room.sending.open()
    assert len(room.sent) == 1


async def test_a_cancelled_wait_sends_nothing_and_blocks_nobody(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms, agent=False)
    async with anyio.create_task_group() as group:
        group.start_soon(session.send_data, HELLO)
        await settle()
        group.cancel_scope.cancel()
    room.agent_joins()
    await session.send_data({"type": "next"})
    assert [packet.type for packet in room.sent] == ["next"]


async def test_disconnecting_refuses_those_who_wait(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await joined(session, scripted_rooms, agent=False)
    refused: list[NotConnectedError] = []

    async def send() -> None:
        try:
            await session.send_data(HELLO, timeout=60)
        except NotConnectedError as error:
            refused.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(send)
        await settle()
        await session.disconnect()
    assert len(refused) == 3


async def test_a_message_for_one_agent_never_reaches_the_next(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await joined(session, scripted_rooms, agent=False)

    async def send() -> None:
        with pytest.raises(NotConnectedError):
            await session.send_data(HELLO, timeout=60)

    async with anyio.create_task_group() as group:
        group.start_soon(send)
        await settle()
        await session.switch_agent("agt_other")
        scripted_rooms.rooms[-1].agent_joins()
    assert scripted_rooms.rooms[-1].sent == ()


async def test_a_message_under_way_when_the_agent_leaves_waits_for_it(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.agent_leaves()
    async with anyio.create_task_group() as group:
        group.start_soon(session.send_data, HELLO)
        await settle()
        assert room.sent == ()
        room.agent_joins("agent-2")
    assert room.sent[0].to == ("agent-2",)


async def test_typed_text_goes_the_way_the_agent_understands(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    await session.send_text("hello")
    assert room.sent_texts == (SentText("hello", "lk.chat", ("agent",)),)
    assert not room.sent
    room.agent_says({"type": "bot_ready"})
    await session.send_text("hello", line_id="line-1")
    assert [packet.message for packet in room.sent] == [UserMessage("hello", "line-1")]
    assert len(room.sent_texts) == 1


async def test_text_typed_before_the_agent_announced_itself_waits_for_that(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    async with anyio.create_task_group() as group:
        group.start_soon(session.send_text, "hello")
        await settle()
        assert not room.sent_texts
        room.agent_says({"type": "bot_ready"})
    [line] = session.transcript
    assert [packet.message for packet in room.sent] == [UserMessage("hello", line.id)]
    assert not room.sent_texts


async def test_a_command_of_ours_can_be_sent_as_any_message(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    await session.send_data(Navigate("/pricing"))
    assert room.sent[0].message == Navigate("/pricing")
