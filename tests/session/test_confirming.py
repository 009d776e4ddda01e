"""Confirmed delivery, path by path: on scripted rooms and a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import anyio
import pytest

from livelayer_bus.errors import (
    BrokenError,
    BusyError,
    ConnectionLostError,
    LivelayerError,
    MessageTooLargeError,
    MisuseError,
    NotConnectedError,
    NotSupportedError,
    RequestTimeoutError,
    SendTimeoutError,
)
from livelayer_bus.events import DataReceived, DataSent
from livelayer_bus.messages import BotReady, Message, RawMessage, UserMessage, encode
from livelayer_bus.rooms import names
from livelayer_bus.session import Session
from livelayer_bus.session.connection import ANNOUNCE_SECONDS
from livelayer_bus.testing import ManualClock, ScriptedRoom, ScriptedRooms, SentPacket, settle

pytestmark = pytest.mark.anyio
Work: TypeAlias = Callable[[], Coroutine[Any, Any, object]]
HELLO = UserMessage("hello")
LIMIT = 15_360  # bytes


class Call:
    """A call that runs beside the test, and what became of it."""

    def __init__(self) -> None:
        self.error: LivelayerError | None = None
        self.returned = False

    @property
    def ended(self) -> bool:
        return self.returned or self.error is not None

    async def run(self, work: Work) -> None:
        try:
            await work()
        except LivelayerError as error:
            self.error = error
        else:
            self.returned = True


@asynccontextmanager
async def running(*works: Work) -> AsyncGenerator[list[Call]]:
    """The calls, begun one after the other; the block must see to it that they end."""
    calls = [Call() for _ in works]
    async with anyio.create_task_group() as group:
        for call, work in zip(calls, works, strict=True):
            group.start_soon(call.run, work)
            await settle()
        yield calls


async def joined(session: Session, rooms: ScriptedRooms, *, confirms: bool = True) -> ScriptedRoom:
    await session.connect()
    room = await rooms.next()
    room.agent_joins(confirms=confirms)
    return room


def sending(session: Session, number: int = 0, timeout: float = 60) -> Work:
    return lambda: session.send_data({"type": "n", "n": number}, timeout=timeout, confirm=True)


def numbers(room: ScriptedRoom) -> list[int]:
    return [packet.json()["n"] for packet in room.sent]


async def test_it_returns_when_the_bridge_has_the_message_and_not_before(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    with session.subscribe(DataSent, DataReceived) as events:
        async with running(lambda: session.send_data(HELLO, confirm=True)) as [call]:
            packet = await room.next_sent()
            await settle()
            assert not call.ended
            room.agent_confirms(packet)
        assert call.returned
        # What was sent is an event; its confirmation is the transport's business.
        assert [type(await anext(events)) for _ in range(events.lag)] == [DataSent]
    assert packet.data == encode(HELLO)
    assert packet.to == ("agent",)
    assert packet.topic == f"{names.CONFIRM_TOPIC}{session.id}.1"
    assert session.statistics().confirmed == 1


async def test_a_confirmation_that_outruns_the_transport_counts(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.sending.hold()
    async with running(sending(session)) as [call]:
        await room.sending.wait_held()
        room.agent_confirms(SentPacket(b"", f"{names.CONFIRM_TOPIC}{session.id}.1"))
        await settle()
        assert not call.ended
        room.sending.open()
    assert call.returned


async def test_only_the_chosen_agent_confirms_and_only_what_waits(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    async with running(sending(session, timeout=0.5)) as [call]:
        ours = f"{session.id}.1".encode()
        room.packet(ours, sender="other", topic=names.CONFIRMED_TOPIC)
        for text in (b"", b"\xff", b"1", f"{session.id}.2".encode(), f"{session.id}.01".encode()):
            room.agent_says(text, topic=names.CONFIRMED_TOPIC)
        await settle()
        assert not call.ended
        manual_clock.advance(0.5)
    assert isinstance(call.error, SendTimeoutError)


async def test_without_a_confirmation_it_is_sent_again_after_growing_pauses(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    sent_at: list[float] = []
    start = manual_clock.now()
    async with running(sending(session, timeout=30)) as [call]:
        for _ in range(30):
            while len(sent_at) < len(room.sent):
                sent_at.append(manual_clock.now() - start)
            await manual_clock.elapse(1.0)
    assert sent_at == [0, 1, 3, 7, 15, 23]
    assert len({(packet.data, packet.topic) for packet in room.sent}) == 1
    assert isinstance(call.error, SendTimeoutError)
    assert call.error.handed_over
    assert call.error.reason == "the agent has not confirmed it"
    assert session.statistics().resent == 5
    assert session.statistics().failed == 1
    assert manual_clock.sleepers == 0


async def test_after_a_rejoin_it_is_sent_again_at_once_and_before_newer_ones(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    async with running(sending(session, 1), sending(session, 2)):
        room.lose()
        await manual_clock.wait_for_sleepers()
        async with running(sending(session, 3)):
            manual_clock.advance(1.0)
            again = await scripted_rooms.next()
            await settle()
            assert again.sent == ()
            again.agent_joins(confirms=True)
            for _ in range(3):
                again.agent_confirms(await again.next_sent())
    assert numbers(room) == [1, 2]
    assert numbers(again) == [1, 2, 3]
    assert again.sent[:2] == room.sent[:]


@pytest.mark.parametrize("identity", ["agent", "next"])
async def test_an_agent_that_comes_back_and_the_next_agent_get_it(
    session: Session, scripted_rooms: ScriptedRooms, identity: str
) -> None:
    room = await joined(session, scripted_rooms)
    async with running(sending(session)) as [call]:
        await room.next_sent()
        room.agent_leaves()
        await settle()
        room.agent_joins(identity, confirms=True)
        packet = await room.next_sent()
        assert packet.to == (identity,)
        room.agent_confirms(packet)
    assert call.returned


async def test_one_agent_directly_after_the_other_gets_it_too(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    async with running(sending(session)):
        await room.next_sent()
        room.agent_joins("next", confirms=True)
        room.agent_confirms(await room.next_sent())
    assert [packet.to for packet in room.sent] == [("agent",), ("next",)]


async def test_it_waits_for_the_join_and_for_the_agent(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.joining.hold()
    async with running(session.connect, sending(session)) as calls:
        scripted_rooms.joining.open()
        room = await scripted_rooms.next()
        room.agent_joins(active=False, confirms=True)
        await settle()
        assert room.sent == ()
        room.agent_joins(confirms=True)
        room.agent_confirms(await room.next_sent())
    assert calls[1].returned


async def test_what_the_transport_refuses_is_sent_again(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    room.sending.fail(BrokenError("the channel is closed"))
    async with running(sending(session, 1), sending(session, 2)) as calls:
        await settle()
        assert room.sending.arrived == 2  # not in a loop
        room.sending.open()
        await manual_clock.elapse(1.0)
        for _ in range(2):
            room.agent_confirms(await room.next_sent())
    assert [call.returned for call in calls] == [True, True]
    assert numbers(room) == [1, 2]


async def test_a_timeout_says_whether_it_was_handed_over(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    room.sending.fail(BrokenError("the channel is closed"))
    async with running(sending(session, timeout=2.5)) as [refused]:
        await manual_clock.elapse(2.5)
    room.sending.open()
    room.agent_leaves()
    async with running(sending(session, timeout=2.5)) as [nobody]:
        await manual_clock.elapse(2.5)
    for call, reason in ((refused, "has not confirmed"), (nobody, "no agent has joined")):
        assert isinstance(call.error, SendTimeoutError)
        assert reason in call.error.reason
        assert not call.error.handed_over
    assert room.sent == ()


async def test_a_switch_a_disconnect_and_a_lost_room_end_the_wait_at_once(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    async with running(sending(session)) as [switched]:
        await room.next_sent()
        await session.switch_agent("agt_other")
    assert isinstance(switched.error, NotConnectedError)
    room = scripted_rooms.rooms[-1]
    room.agent_joins(confirms=True)
    await settle()
    assert room.sent == ()  # a message for one agent never reaches the agent of another epoch
    async with running(sending(session)) as [left]:
        await room.next_sent()
        await session.disconnect()
    assert isinstance(left.error, NotConnectedError)
    async with running(sending(session)) as [idle]:
        pass
    assert isinstance(idle.error, NotConnectedError)
    await session.connect()
    room = scripted_rooms.rooms[-1]
    room.agent_joins(confirms=True)
    async with running(sending(session)) as [lost]:
        await room.next_sent()
        room.lose(rejoin=False)
    assert isinstance(lost.error, ConnectionLostError)


async def test_closing_the_session_ends_the_wait(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await joined(session, scripted_rooms)
    async with running(sending(session)) as [call]:
        await session.aclose()
    assert isinstance(call.error, LivelayerError)
    assert session.statistics().waiting == 0


async def test_a_cancelled_call_leaves_nothing_behind(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    async with anyio.create_task_group() as group:
        group.start_soon(sending(session, 1))
        await room.next_sent()
        group.cancel_scope.cancel()
    room.sending.hold()
    async with anyio.create_task_group() as group:
        group.start_soon(sending(session, 2))
        await room.sending.wait_held()
        group.cancel_scope.cancel()
    room.sending.open()
    await manual_clock.elapse(30.0)
    assert numbers(room) == [1]
    assert manual_clock.sleepers == 0
    assert session.statistics().waiting == 0
    assert session.statistics().failed == 2


async def test_a_cancelled_sender_of_what_others_wait_for_costs_them_nothing(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.sending.hold()
    async with running(sending(session, 2)) as [call]:
        await room.sending.wait_held()
        async with anyio.create_task_group() as group:
            group.start_soon(sending(session, 3))
            await settle()
            group.cancel_scope.cancel()
        room.sending.open()
        room.agent_confirms(await room.next_sent())
    assert call.returned
    assert numbers(room) == [2]


async def test_the_number_of_those_that_wait_is_bounded_and_counted(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    bound = names.CONFIRM_WINDOW
    async with anyio.create_task_group() as group:
        for number in range(bound):
            group.start_soon(sending(session, number))
        for _ in range(bound):
            await room.next_sent()
        with pytest.raises(BusyError, match="1024 messages wait"):
            await sending(session)()
        # Only the oldest of them makes room: a bridge could not tell its repetition any more.
        room.agent_confirms(room.sent[-1])
        await settle()
        with pytest.raises(BusyError):
            await sending(session)()
        room.agent_confirms(room.sent[0])
        await settle()
        group.start_soon(sending(session, bound))
        await room.next_sent()
        group.cancel_scope.cancel()
    statistics = session.statistics()
    assert (statistics.waiting, statistics.confirmed, statistics.refused) == (0, 2, 2)


async def test_an_agent_without_our_bridge_is_an_error_a_second_after_it_is_ready(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms, confirms=False)
    async with running(sending(session)) as [call]:
        await manual_clock.elapse(10.0)
        assert not call.ended  # it may only be starting
        room.agent_says(BotReady())
        await manual_clock.elapse(ANNOUNCE_SECONDS - 0.1)
        assert not call.ended
        await manual_clock.elapse(0.1)
    assert isinstance(call.error, NotSupportedError)
    assert room.sent == ()


async def test_an_agent_that_never_gets_ready_is_a_timeout_that_says_so(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    await joined(session, scripted_rooms, confirms=False)
    async with running(sending(session, timeout=5)) as [call]:
        await manual_clock.elapse(5.0)
    assert isinstance(call.error, SendTimeoutError)
    assert "has not announced" in call.error.reason
    assert not call.error.handed_over


async def test_a_bridge_that_is_late_is_waited_for(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms, confirms=False)
    room.agent_says(BotReady())
    async with running(sending(session)) as [call]:
        await manual_clock.elapse(ANNOUNCE_SECONDS / 2)
        room.agent_joins(confirms=True)
        room.agent_confirms(await room.next_sent())
    assert call.returned


async def test_a_next_agent_without_a_bridge_ends_the_wait_in_an_error(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    async with running(sending(session)) as [call]:
        await room.next_sent()
        room.agent_joins("plain")
        room.agent_state("listening")
        await manual_clock.elapse(ANNOUNCE_SECONDS)
    assert isinstance(call.error, NotSupportedError)
    assert len(room.sent) == 1


async def test_where_it_is_the_default_a_plain_agent_gets_the_message_as_ever(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms, confirms=False)
    await session.send_data(HELLO, confirm=None)
    assert [packet.to for packet in room.sent] == [("agent",)]
    room.agent_joins("bridge", confirms=True)
    async with running(lambda: session.send_data(HELLO, confirm=None, timeout=60)) as [call]:
        assert len(room.sent) == 2
        assert not call.ended
        room.agent_joins("plain")
    assert call.returned
    assert [packet.to for packet in room.sent] == [("agent",), ("bridge",), ("plain",)]
    assert [packet.topic is None for packet in room.sent] == [True, False, True]


async def test_typed_text_and_requests_are_confirmed_where_the_agent_can(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    async with running(lambda: session.send_text("hello", timeout=60)) as [typed]:
        packet = await room.next_sent("user_message")
        await settle()
        assert not typed.ended
        room.agent_confirms(packet)
    assert typed.returned
    answers: list[Message] = []

    async def ask() -> None:
        ask = RawMessage("ask", {"requestId": "mine"})
        answers.append(await session.request(ask, reply="answer", timeout=60))

    async with running(ask) as [asked]:
        packet = await room.next_sent("ask")
        room.agent_says({"type": "answer", "requestId": "mine"})
        await settle()
        assert not asked.ended
        room.agent_confirms(packet)
    assert answers == [RawMessage("answer", {"requestId": "mine"})]


async def test_a_typed_line_that_was_not_confirmed_is_sent_again_with_its_id_until_it_was_sent(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)

    def say() -> Coroutine[Any, Any, object]:
        return session.send_text("hello", timeout=5, line_id="line-1")

    async with running(say) as [call]:
        first = await room.next_sent("user_message")
        await manual_clock.elapse(5.0)
    assert isinstance(call.error, SendTimeoutError)
    assert (call.error.handed_over, call.error.confirming) == (True, True)
    [line] = session.transcript
    assert (line.id, line.delivery) == ("line-1", "failed")
    sent = len(room.sent)
    async with running(say) as [call]:
        await room.wait_until(lambda: len(room.sent) > sent)
        again = room.sent[-1]
        room.agent_confirms(again)
    assert call.returned
    assert first.data == again.data == encode(UserMessage("hello", "line-1"))
    assert first.topic != again.topic
    [line] = session.transcript
    assert (line.id, line.delivery) == ("line-1", "sent")
    sent = len(room.sent)
    await session.send_text("hello", line_id="line-1")
    assert len(room.sent) == sent


async def test_a_request_that_is_not_confirmed_ends_in_a_typed_error(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    request = RawMessage("ask", {"requestId": "mine"})
    async with running(lambda: session.request(request, reply="answer", timeout=5)) as [call]:
        await room.next_sent("ask")
        await manual_clock.elapse(5.0)
    assert isinstance(call.error, SendTimeoutError | RequestTimeoutError)
    assert call.error.retryable


async def test_a_message_of_exactly_the_limit_is_confirmed_and_a_longer_one_refused(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    empty = len(encode({"type": "blob", "text": ""}))
    blob = {"type": "blob", "text": "x" * (LIMIT - empty)}
    async with running(lambda: session.send_data(blob, confirm=True)) as [call]:
        packet = await room.next_sent()
        room.agent_confirms(packet)
    assert call.returned
    assert len(packet.data) == LIMIT
    with pytest.raises(MessageTooLargeError):
        await session.send_data({**blob, "more": 1}, confirm=True)


async def test_to_everybody_nothing_can_be_confirmed(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await joined(session, scripted_rooms)
    with pytest.raises(MisuseError, match="require_agent"):
        await session.send_data(HELLO, confirm=True, require_agent=False)
    await session.send_data(HELLO, confirm=None, require_agent=False)


async def test_plain_messages_keep_their_place_among_confirmed_ones(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.agent_leaves()
    plain = {"type": "n", "n": 2}
    works = (sending(session, 1), lambda: session.send_data(plain, timeout=60), sending(session, 3))
    async with running(*works):
        room.agent_joins(confirms=True)
        for _ in range(3):
            packet = await room.next_sent()
            if packet.topic is not None:
                room.agent_confirms(packet)
    assert numbers(room) == [1, 2, 3]
