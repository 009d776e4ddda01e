from __future__ import annotations

import anyio
import pytest

from livelayer_bus.errors import ConnectError
from livelayer_bus.events import ConnectionStateChanged, ResumeWindowClosed, TranscriptCleared
from livelayer_bus.session import Session
from livelayer_bus.testing import ManualClock, ScriptedRooms, settle

pytestmark = pytest.mark.anyio
WINDOW = 300.0  # seconds
NIGHT = 8 * 3600.0  # seconds


def prior_rooms(rooms: ScriptedRooms) -> list[str | None]:
    return [request.prior_room_name for request in rooms.tokens.requests]


async def test_disconnecting_leaves_the_room_and_clears_the_transcript(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await session.connect()
    room = await scripted_rooms.next()
    room.agent_joins()
    room.transcribes("one", "Good day")
    room.agent_state("speaking")
    start = session.state.sequence
    await session.disconnect()
    assert room.closed
    assert session.connection_state == "disconnected"
    assert session.transcript == ()
    state = session.state
    assert (state.joined, state.agent_active, state.agent_ready, state.agent_state) == (
        False,
        False,
        False,
        "idle",
    )
    assert state.agent_identity is None
    with session.subscribe(TranscriptCleared, ConnectionStateChanged, after=start) as events:
        assert [type(await anext(events)) for _ in range(events.lag)] == [
            TranscriptCleared,
            ConnectionStateChanged,
        ]


async def test_disconnecting_twice_or_while_idle_is_harmless(session: Session) -> None:
    await session.disconnect()
    assert session.connection_state == "idle"
    await session.connect()
    await session.disconnect()
    sequence = session.state.sequence
    await session.disconnect()
    assert session.state.sequence == sequence


async def test_within_the_window_connect_returns_to_the_same_room(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    await session.connect()
    await session.disconnect()
    assert session.can_resume
    await manual_clock.elapse(WINDOW - 1)
    assert session.can_resume
    await session.connect()
    assert prior_rooms(scripted_rooms) == [None, "room-1"]
    state = session.state
    assert (state.can_resume, state.connection_state) == (False, "connected")


async def test_after_the_window_connect_opens_a_new_room(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    await session.connect()
    await session.disconnect()
    with session.subscribe(ResumeWindowClosed) as closings:
        await manual_clock.elapse(WINDOW)
        assert await anext(closings) == ResumeWindowClosed()
    assert not session.can_resume
    await session.connect()
    assert prior_rooms(scripted_rooms) == [None, None]


async def test_a_night_in_which_the_machine_is_suspended_closes_the_window(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    await session.connect()
    await session.disconnect()
    manual_clock.suspend(NIGHT)
    await manual_clock.elapse(0)  # a timer looks at the clock again
    assert not session.can_resume
    await session.connect()
    assert prior_rooms(scripted_rooms) == [None, None]


async def test_a_window_is_closed_when_it_is_asked_though_no_timer_has_run(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    await session.connect()
    await session.disconnect()
    with session.subscribe(ResumeWindowClosed) as closings:
        manual_clock.suspend(NIGHT)
        await session.connect()
        await manual_clock.elapse(NIGHT)
        assert closings.lag == 1
    assert prior_rooms(scripted_rooms) == [None, None]
    assert session.connection_state == "connected"


async def test_a_suspend_within_the_window_leaves_the_rest_of_it(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    await session.connect()
    await session.disconnect()
    manual_clock.suspend(WINDOW - 10)
    await manual_clock.elapse(9)
    assert session.can_resume
    await session.connect()
    assert prior_rooms(scripted_rooms) == [None, "room-1"]


async def test_a_room_lost_before_a_suspend_cannot_be_returned_to(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    await session.connect()
    (await scripted_rooms.next()).lose("the server gave up", rejoin=False)
    manual_clock.suspend(NIGHT)
    await session.disconnect()
    assert (session.connection_state, session.can_resume) == ("disconnected", False)
    await session.connect()
    assert prior_rooms(scripted_rooms) == [None, None]


async def test_a_window_that_was_used_does_not_close_later(
    session: Session, manual_clock: ManualClock
) -> None:
    await session.connect()
    await session.disconnect()
    await session.connect()
    with session.subscribe(ResumeWindowClosed) as closings:
        await manual_clock.elapse(2 * WINDOW)
        assert closings.lag == 0
    assert session.connection_state == "connected"


async def test_each_disconnect_opens_a_window_of_its_own(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    await session.connect()
    await session.disconnect()
    await manual_clock.elapse(WINDOW - 1)
    await session.connect()
    await session.disconnect()
    await manual_clock.elapse(WINDOW - 1)
    assert session.can_resume
    await session.connect()
    assert prior_rooms(scripted_rooms) == [None, "room-1", "room-1"]


async def test_a_failed_return_keeps_the_window_but_does_not_lengthen_it(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    await session.connect()
    await session.disconnect()
    await manual_clock.elapse(WINDOW - 10)
    scripted_rooms.joining.fail(ConnectError("ws://here", "no route"), times=1)
    with pytest.raises(ConnectError):
        await session.connect()
    assert session.can_resume
    await manual_clock.elapse(10)
    assert not session.can_resume


async def test_a_lost_room_can_be_returned_to(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await session.connect()
    (await scripted_rooms.next()).lose("the server gave up", rejoin=False)
    assert session.connection_state == "error"
    assert session.can_resume
    await session.connect()
    assert prior_rooms(scripted_rooms) == [None, "room-1"]


async def test_a_room_that_somebody_ended_on_purpose_is_not_returned_to(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await session.connect()
    (await scripted_rooms.next()).lose("the room was deleted", rejoin=False, fault=False)
    assert (session.connection_state, session.can_resume) == ("disconnected", False)
    assert session.error == "the room was deleted"
    await session.connect()
    assert prior_rooms(scripted_rooms) == [None, None]


async def test_a_replayed_transcript_shows_each_utterance_once(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await session.connect()
    room = await scripted_rooms.next()
    room.transcribes("one", "Good day")
    await session.disconnect()
    await session.connect()
    room = await scripted_rooms.next()
    room.transcribes("one", "Good day")
    room.transcribes("two", "How much?", "user")
    room.transcribes("one", "Good day")
    await settle()
    assert [(entry.id, entry.text) for entry in session.transcript] == [
        ("one", "Good day"),
        ("two", "How much?"),
    ]


async def test_the_window_can_be_switched_off(
    scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    async with Session(
        "agt",
        tokens=scripted_rooms.tokens,
        room=scripted_rooms,
        clock=manual_clock,
        resume_window=0,
    ) as session:
        await session.connect()
        await session.disconnect()
        assert not session.can_resume
        await session.connect()
        assert prior_rooms(scripted_rooms) == [None, None]


async def test_a_window_closes_once_however_the_session_came_out(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    await session.connect()
    (await scripted_rooms.next()).lose("the server gave up", rejoin=False)
    await manual_clock.elapse(100)
    await session.disconnect()
    assert (session.connection_state, session.error) == ("disconnected", None)
    assert session.can_resume
    with session.subscribe(ResumeWindowClosed) as closings:
        await manual_clock.elapse(WINDOW)
        assert closings.lag == 1


async def test_the_next_room_is_not_joined_before_the_last_one_is_left(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await session.connect()
    room = await scripted_rooms.next()
    room.closing.hold()
    async with anyio.create_task_group() as group:
        group.start_soon(session.disconnect)
        await room.closing.wait_held()
        group.start_soon(session.connect)
        await settle()
        assert session.connection_state == "connecting"
        assert len(scripted_rooms.rooms) == 1
        room.closing.open()
    assert len(scripted_rooms.rooms) == 2
    assert session.state.connection_state == "connected"
