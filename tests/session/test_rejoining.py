from __future__ import annotations

import anyio
import pytest

from livelayer_bus.clock import Backoff
from livelayer_bus.errors import ConnectError, TokenRefusedError
from livelayer_bus.events import Reconnected, Reconnecting, SessionFailed, TrackChanged
from livelayer_bus.session import Session
from livelayer_bus.testing import ManualClock, ScriptedRoom, ScriptedRooms, settle

from .conftest import MakeSession

pytestmark = pytest.mark.anyio


async def joined(session: Session, rooms: ScriptedRooms) -> ScriptedRoom:
    await session.connect()
    room = await rooms.next()
    room.agent_joins()
    return room


async def test_while_the_sdk_reconnects_the_session_stays_connected(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.reconnecting("signal lost")
    state = session.state
    assert (state.connection_state, state.reconnecting, state.joined) == ("connected", True, True)
    assert state.agent_active
    room.reconnected()
    assert not session.state.reconnecting
    assert len(scripted_rooms.rooms) == 1


async def test_a_lost_room_is_rejoined_with_a_new_token(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    room.transcribes("one", "Good day")
    with session.subscribe(Reconnecting, Reconnected) as events:
        room.lose("the server went away")
        state = session.state
        assert (state.connection_state, state.reconnecting, state.joined) == (
            "connected",
            True,
            False,
        )
        assert not state.agent_active
        assert await anext(events) == Reconnecting("the server went away", attempt=1)
        await manual_clock.wait_for_sleepers()
        manual_clock.advance(1.0)
        again = await scripted_rooms.next()
        assert await anext(events) == Reconnected(rejoined=True)
    assert again is not room
    assert again.access is not None
    assert (again.access.token, again.access.room_name) == ("token-2", "room-1")
    assert scripted_rooms.tokens.requests[1].prior_room_name == "room-1"
    assert (session.connection_state, session.state.reconnecting, session.state.joined) == (
        "connected",
        False,
        True,
    )
    assert [entry.text for entry in session.transcript] == ["Good day"]
    await room.wait_closed()


async def test_no_attempt_is_made_before_its_pause_is_over(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    (await joined(session, scripted_rooms)).lose()
    await manual_clock.wait_for_sleepers()
    await manual_clock.elapse(0.99)
    assert len(scripted_rooms.tokens.requests) == 1
    await manual_clock.elapse(0.01)
    assert len(scripted_rooms.tokens.requests) == 2


async def test_pauses_grow_between_the_attempts(
    make_session: MakeSession, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    backoff = Backoff(initial=1.0, maximum=3.0, factor=2.0, jitter=0.0, attempts=4)
    async with make_session(reconnect=backoff) as session:
        room = await joined(session, scripted_rooms)
        scripted_rooms.joining.fail(ConnectError("ws://here", "no route"))
        room.lose()
        times: list[float] = []
        start = manual_clock.now()
        for attempt in range(2, 6):
            await manual_clock.wait_for_sleepers()
            pause = manual_clock.next_in
            assert pause is not None
            manual_clock.advance(pause)
            await scripted_rooms.joining.wait_arrived(attempt)
            times.append(manual_clock.now() - start)
            await settle()
        assert times == [1, 3, 6, 9]


async def test_a_session_that_cannot_come_back_fails_with_the_reason(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    scripted_rooms.joining.fail(ConnectError("ws://here", "no route"))
    with session.subscribe(Reconnecting, SessionFailed) as events:
        room.lose("the server went away")
        await manual_clock.elapse(10)
        heard = [await anext(events) for _ in range(events.lag)]
    assert [event.attempt for event in heard if isinstance(event, Reconnecting)] == [1, 2, 3]
    failed = heard[-1]
    assert isinstance(failed, SessionFailed)
    assert failed.retryable
    assert "no route" in failed.error
    assert session.connection_state == "error"
    assert session.error == failed.error
    assert not session.state.reconnecting
    assert len(scripted_rooms.rooms) == 4
    for lost in scripted_rooms.rooms:
        await lost.wait_closed()


async def test_whoever_connects_meanwhile_waits_for_the_rejoin(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    (await joined(session, scripted_rooms)).lose()
    async with anyio.create_task_group() as group:
        group.start_soon(session.connect)
        await manual_clock.wait_for_sleepers()
        manual_clock.advance(1.0)
    assert session.connection_state == "connected"
    assert session.state.joined
    assert len(scripted_rooms.rooms) == 2


async def test_whoever_connects_meanwhile_is_told_of_the_failure(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    scripted_rooms.joining.fail(ConnectError("ws://here", "no route"))
    room.lose()

    async def connect() -> None:
        with pytest.raises(ConnectError, match="no route"):
            await session.connect()

    async with anyio.create_task_group() as group:
        group.start_soon(connect)
        await manual_clock.elapse(10)


async def test_a_refused_token_ends_the_attempts_at_once(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    scripted_rooms.tokens.gate.fail(TokenRefusedError("the endpoint", 403, "expired"))
    with session.subscribe(SessionFailed) as failures:
        room.lose()
        await manual_clock.elapse(10)
        failed = await anext(failures)
    assert not failed.retryable
    assert len(scripted_rooms.tokens.requests) == 2


async def test_disconnecting_ends_the_rejoin(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    (await joined(session, scripted_rooms)).lose()
    await manual_clock.wait_for_sleepers()
    await session.disconnect()
    assert session.connection_state == "disconnected"
    assert session.can_resume
    await manual_clock.elapse(10)
    assert len(scripted_rooms.rooms) == 1
    assert session.connection_state == "disconnected"


async def test_without_a_backoff_a_lost_room_is_a_failure(
    scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    async with Session(
        "agt",
        tokens=scripted_rooms.tokens,
        room=scripted_rooms,
        clock=manual_clock,
        reconnect=None,
    ) as session:
        room = await joined(session, scripted_rooms)
        with session.subscribe(SessionFailed) as failures:
            room.lose("the server went away")
            assert await anext(failures) == SessionFailed("the server went away", retryable=True)
        assert (session.connection_state, session.error) == ("error", "the server went away")


async def test_a_room_without_a_way_back_is_a_failure(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    with session.subscribe(SessionFailed) as failures:
        room.lose("another client took our identity", rejoin=False)
        failed = await anext(failures)
    assert failed == SessionFailed("another client took our identity", retryable=False)
    assert session.connection_state == "error"


async def test_nothing_of_a_lost_room_is_heard_any_more(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    old = await joined(session, scripted_rooms)
    old.lose()
    sequence = session.state.sequence
    old.agent_joins("ghost")
    old.transcribes("ghost", "boo")
    old.agent_says({"type": "bot_ready"})
    old.lose("again")
    assert session.state.sequence == sequence
    await manual_clock.wait_for_sleepers()
    manual_clock.advance(1.0)
    await scripted_rooms.next()
    old.transcribes("ghost", "boo")
    assert session.transcript == ()


async def test_tracks_stop_with_their_room_and_start_with_the_next(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    room.track_starts("video", sid="TR_1")
    seen = [session.video.available]
    with session.subscribe(TrackChanged) as changes, session.video.subscribe() as frames:
        room.lose()
        seen.append(session.video.available)
        assert await anext(changes) == TrackChanged("video", available=False)
        await manual_clock.wait_for_sleepers()
        manual_clock.advance(1.0)
        again = await scripted_rooms.next()
        again.track_starts("video", sid="TR_2")
        seen.append(session.video.available)
        assert seen == [True, False, True]
        assert (await anext(changes)).sid == "TR_2"
        frame = again.push_video()
        assert await anext(frames) is frame


async def test_a_room_lost_while_it_is_rejoined_is_tried_again(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    (await joined(session, scripted_rooms)).lose()
    await manual_clock.wait_for_sleepers()
    manual_clock.advance(1.0)
    (await scripted_rooms.next()).lose("once more")
    await manual_clock.wait_for_sleepers()
    manual_clock.advance(1.0)
    await scripted_rooms.next()
    await settle()
    assert session.state.joined
    assert len(scripted_rooms.rooms) == 3


async def test_what_is_said_in_the_next_room_comes_after_what_was_said_before(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    room.open_stream("unspoken")
    room.transcribes("one", "Good day")
    room.transcribes("two", "How are you?")
    room.lose("the server went away")
    await manual_clock.wait_for_sleepers()
    manual_clock.advance(1.0)
    again = await scripted_rooms.next()
    await settle()
    again.transcribes("three", "Here again")
    again.transcribes("one", "Good day")  # replayed: it stays where it was
    assert [entry.id for entry in session.transcript] == ["one", "two", "three"]
    one, two, three = session.transcript
    assert two.stream < three.stream < one.stream
