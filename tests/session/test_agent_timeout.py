"""Rooms to which no agent comes, and rooms that their agent has left."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from livelayer_bus.errors import MisuseError
from livelayer_bus.events import AgentTimedOut, ConnectionStateChanged, Event
from livelayer_bus.session import Session
from livelayer_bus.testing import ManualClock, ScriptedRoom, ScriptedRooms, settle

from .conftest import MakeSession

pytestmark = pytest.mark.anyio
LIMIT = 30.0  # seconds


@pytest.fixture
async def session(anyio_backend: object, make_session: MakeSession) -> AsyncGenerator[Session]:
    async with make_session(agent_timeout=LIMIT) as opened:
        yield opened


async def joined(session: Session, rooms: ScriptedRooms) -> ScriptedRoom:
    await session.connect()
    return await rooms.next()


async def outcome(session: Session, start: int) -> list[Event]:
    with session.subscribe(AgentTimedOut, ConnectionStateChanged, after=start) as events:
        return [await anext(events) for _ in range(events.lag)]


async def test_no_agent_is_an_event_and_an_error_with_a_code_and_the_room_is_kept(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    await manual_clock.elapse(LIMIT - 1)
    assert session.error is None
    start = session.state.sequence
    await manual_clock.elapse(1)
    text = "no agent came within 30 s"
    assert await outcome(session, start) == [AgentTimedOut(LIMIT, text)]
    state = session.state
    assert (state.error, state.error_code) == (text, "AGENT_TIMEOUT")
    assert session.connection_state == "connected"
    assert not room.closed
    await manual_clock.elapse(10 * LIMIT)
    assert session.state.sequence == start + 1  # once


@pytest.mark.parametrize("late", [False, True])
async def test_an_agent_that_comes_stops_the_clock_or_clears_the_error(
    late: bool, session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    room.agent_joins(active=False)
    await manual_clock.elapse(LIMIT if late else LIMIT - 1)
    assert session.state.error_code == ("AGENT_TIMEOUT" if late else None)  # not active yet
    room.agent_activates()
    await settle()
    assert (session.error, session.state.error_code) == (None, None)
    assert manual_clock.sleepers == 0
    await session.send_data({"type": "works"})


async def test_connecting_again_leaves_a_room_without_an_agent_for_a_new_one(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    await session.connect()  # not in vain yet: nothing happens
    await manual_clock.elapse(LIMIT)
    other = await joined(session, scripted_rooms)
    assert room.closed
    assert [one.prior_room_name for one in scripted_rooms.tokens.requests] == [None, None]
    assert (session.error, session.state.error_code) == (None, None)
    other.agent_joins()
    await manual_clock.elapse(2 * LIMIT)
    assert session.state.agent_active


async def test_a_room_that_its_agent_left_is_left_and_can_be_returned_to(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    name = room.room_name
    room.agent_joins()
    room.transcribes("one", "Good day")
    await manual_clock.elapse(LIMIT)
    room.agent_leaves()
    await manual_clock.elapse(LIMIT - 1)
    assert session.connection_state == "connected"
    start = session.state.sequence
    await manual_clock.elapse(1)
    text = "the agent left and none came within 30 s"
    assert await outcome(session, start) == [
        AgentTimedOut(LIMIT, text),
        ConnectionStateChanged("disconnected", text, can_resume=True),
    ]
    assert room.closed
    assert session.error == text
    again = await joined(session, scripted_rooms)
    assert scripted_rooms.tokens.requests[-1].prior_room_name == name
    again.agent_joins()
    await settle()
    assert [entry.text for entry in session.transcript] == ["Good day"]
    assert session.state.continued


async def test_an_agent_that_follows_another_in_time_keeps_the_session(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    for name in ("first", "second", "third"):
        await manual_clock.elapse(LIMIT - 1)
        room.agent_joins(name)
        await manual_clock.elapse(2 * LIMIT)
        room.agent_leaves()
    assert session.connection_state == "connected"
    assert session.error is None


async def test_time_outside_of_the_room_does_not_count(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    await manual_clock.elapse(LIMIT - 1)
    room.lose("gone", rejoin=True)
    await manual_clock.elapse(2)
    again = await scripted_rooms.next()
    assert session.state.joined
    await manual_clock.elapse(LIMIT - 5)
    assert session.error is None
    await session.disconnect()
    await manual_clock.elapse(2 * LIMIT)
    assert session.error is None
    assert again.closed


async def test_the_limit_is_an_option(
    make_session: MakeSession, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    async with make_session(agent_timeout=None) as patient:
        await joined(patient, scripted_rooms)
        await manual_clock.elapse(100 * LIMIT)
        assert patient.error is None
    async with make_session(agent_timeout=5.0) as quick:
        await joined(quick, scripted_rooms)
        await manual_clock.elapse(5)
        assert quick.error == "no agent came within 5 s"
    with pytest.raises(MisuseError, match="agent_timeout must be a number of at least 0, got -1"):
        make_session(agent_timeout=-1)
