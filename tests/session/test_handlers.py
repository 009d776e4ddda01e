from __future__ import annotations

import anyio
import pytest

from livelayer_bus.errors import Lagged
from livelayer_bus.events import DataReceived, HandlerFailed, MalformedMessage
from livelayer_bus.messages import BotReady, Navigate, RawMessage
from livelayer_bus.session import Session
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms, settle

pytestmark = pytest.mark.anyio


async def joined(session: Session, rooms: ScriptedRooms) -> ScriptedRoom:
    await session.connect()
    room = await rooms.next()
    room.agent_joins()
    return room


async def test_sync_and_async_handlers_get_every_packet_in_order(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    heard: list[tuple[str, str | None]] = []

    def plain(event: DataReceived) -> None:
        heard.append(("plain", event.type))

    async def waiting(event: DataReceived) -> None:
        await anyio.lowlevel.checkpoint()
        heard.append(("waiting", event.type))

    session.subscribe_to_data_messages(plain)
    session.subscribe_to_data_messages(waiting)
    room = await joined(session, scripted_rooms)
    for name in ("one", "two", "three"):
        room.agent_says({"type": name})
    await settle()
    for handler in ("plain", "waiting"):
        assert [kind for who, kind in heard if who == handler] == ["one", "two", "three"]


async def test_a_handler_sees_packets_whatever_they_hold(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    heard: list[DataReceived] = []
    session.subscribe_to_data_messages(heard.append)
    room = await joined(session, scripted_rooms)
    room.agent_says(b"\xff\x00", topic="binary")
    room.packet(b"[1, 2]", sender="somebody")
    room.packet({"type": "from_server"}, sender=None)
    await settle()
    assert [(e.data, e.topic, e.sender, e.from_agent, e.type) for e in heard] == [
        (b"\xff\x00", "binary", "agent", True, None),
        (b"[1, 2]", None, "somebody", False, None),
        (b'{"type":"from_server"}', None, None, False, "from_server"),
    ]


async def test_no_handler_runs_inside_publish(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    heard: list[DataReceived] = []
    session.subscribe_to_data_messages(heard.append)
    room = await joined(session, scripted_rooms)
    room.agent_says(BotReady())
    assert heard == []
    await settle()
    assert len(heard) == 1


async def test_a_handler_that_raises_is_an_event_and_stays(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    heard: list[DataReceived] = []

    def raises(event: DataReceived) -> None:
        raise TypeError("a fault of its own")

    session.subscribe_to_data_messages(raises)
    session.subscribe_to_data_messages(heard.append)
    room = await joined(session, scripted_rooms)
    with session.subscribe(HandlerFailed) as failures:
        room.agent_says(BotReady())
        room.agent_says(BotReady())
        failed = await anext(failures)
        assert "raises" in failed.handler
        assert failed.error == "TypeError: a fault of its own"
        await anext(failures)
    assert len(heard) == 2


async def test_a_handler_that_never_returns_holds_up_nobody(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    heard: list[DataReceived] = []

    async def never(event: DataReceived) -> None:
        await anyio.sleep_forever()

    session.subscribe_to_data_messages(never)
    session.subscribe_to_data_messages(heard.append)
    room = await joined(session, scripted_rooms)
    for _ in range(3):
        room.agent_says(BotReady())
    await settle()
    assert len(heard) == 3


async def test_a_handler_that_falls_behind_is_told_what_it_missed(
    scripted_rooms: ScriptedRooms,
) -> None:
    heard: list[DataReceived] = []
    async with Session(
        "agt", tokens=scripted_rooms.tokens, room=scripted_rooms, capacity=8
    ) as session:
        session.subscribe_to_data_messages(heard.append)
        room = await joined(session, scripted_rooms)
        await settle()
        with session.subscribe(HandlerFailed) as failures:
            for number in range(20):
                room.agent_says({"type": "n", "number": number})
            failed = await anext(failures)
            await settle()
        assert failed.error.startswith("Lagged: 12 events")
        assert [event.json()["number"] for event in heard] == list(range(12, 20))


async def test_unsubscribing_ends_it_at_once_and_twice_is_harmless(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    heard: list[DataReceived] = []
    unsubscribe = session.subscribe_to_data_messages(heard.append)
    room = await joined(session, scripted_rooms)
    room.agent_says(BotReady())
    unsubscribe()
    unsubscribe()
    room.agent_says(BotReady())
    await settle()
    assert heard == []


async def test_a_handler_may_unsubscribe_itself(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    heard: list[DataReceived] = []

    def once(event: DataReceived) -> None:
        heard.append(event)
        unsubscribe()

    unsubscribe = session.subscribe_to_data_messages(once)
    room = await joined(session, scripted_rooms)
    room.agent_says(BotReady())
    room.agent_says(BotReady())
    await settle()
    assert len(heard) == 1


async def test_a_handler_unsubscribed_before_it_ran_leaves_no_reader(session: Session) -> None:
    await settle()  # the session's own readers have started
    readers = session._store.bus.statistics().readers
    for _ in range(10):
        session.subscribe_to_data_messages(lambda _: None)()
    await settle()
    assert session._store.bus.statistics().readers == readers


async def test_data_messages_come_with_sender_and_topic(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    messages = session.data_messages()
    room = await joined(session, scripted_rooms)
    room.agent_says({"type": "quiz"}, topic="quiz")
    event = await anext(messages)
    assert (event.type, event.topic, event.sender, event.from_agent) == (
        "quiz",
        "quiz",
        "agent",
        True,
    )


async def test_commands_are_known_ones_and_unknown_types_of_the_agent_only(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    commands = session.commands()
    room = await joined(session, scripted_rooms)
    with session.subscribe(MalformedMessage) as malformed:
        room.agent_says({"type": "agent_state", "state": "thinking"})
        room.agent_says({"type": "navigate"})
        room.packet(Navigate("/"), sender="somebody")
        room.agent_says(b"no JSON")
        room.agent_says(Navigate("/pricing"))
        room.agent_says({"type": "quiz", "number": 1})
        assert await anext(commands) == Navigate("/pricing")
        assert await anext(commands) == RawMessage("quiz", {"number": 1})
        first, second = await anext(malformed), await anext(malformed)
    assert (first.type, second.type) == ("navigate", None)
    commands.close()


async def test_any_number_may_listen_to_the_same_data(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    listeners = [session.data_messages() for _ in range(20)]
    room = await joined(session, scripted_rooms)
    room.agent_says({"type": "quiz"})
    events = [await anext(listener) for listener in listeners]
    assert all(event is events[0] for event in events)


async def test_a_listener_that_fell_out_is_told(scripted_rooms: ScriptedRooms) -> None:
    async with Session(
        "agt", tokens=scripted_rooms.tokens, room=scripted_rooms, capacity=8
    ) as session:
        messages = session.data_messages()
        room = await joined(session, scripted_rooms)
        for number in range(20):
            room.agent_says({"type": "n", "number": number})
        with pytest.raises(Lagged) as caught:
            await anext(messages)
        assert caught.value.missed == 12
        assert (await anext(messages)).json()["number"] == 12
