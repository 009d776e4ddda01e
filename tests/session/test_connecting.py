from __future__ import annotations

import anyio
import pytest

from livelayer_bus.errors import (
    ConnectError,
    LivelayerError,
    MisuseError,
    NotConnectedError,
    RoomRefusedError,
    TokenRefusedError,
    TokenSourceError,
)
from livelayer_bus.events import (
    AgentAvailabilityChanged,
    AgentConfig,
    AgentConfigChanged,
    ConnectionStateChanged,
    SessionFailed,
)
from livelayer_bus.session import Session
from livelayer_bus.testing import ManualClock, ScriptedRooms, settle
from livelayer_bus.tokens import RoomAccess, TokenRequest

pytestmark = pytest.mark.anyio


async def states(session: Session, after: int) -> list[str]:
    with session.subscribe(ConnectionStateChanged, after=after) as events:
        return [(await anext(events)).state for _ in range(events.lag)]


async def test_opening_connects_to_nothing(session: Session, scripted_rooms: ScriptedRooms) -> None:
    await settle()
    assert session.connection_state == "idle"
    assert scripted_rooms.tokens.requests == ()
    assert scripted_rooms.rooms == ()
    assert (session.agent_id, session.can_resume, session.error, session.room) == (
        "agt",
        False,
        None,
        None,
    )


async def test_connect_returns_when_joined(session: Session, scripted_rooms: ScriptedRooms) -> None:
    await session.connect()
    room = await scripted_rooms.next()
    assert room.joined
    assert room.access is not None
    assert room.access.token == "token-1"
    assert session.connection_state == "connected"
    assert session.state.joined
    assert scripted_rooms.tokens.requests == (TokenRequest("agt"),)


async def test_connecting_passes_through_connecting_only(session: Session) -> None:
    start = session.state.sequence
    await session.connect()
    assert await states(session, start) == ["connecting", "connected"]


async def test_connecting_twice_joins_once(session: Session, scripted_rooms: ScriptedRooms) -> None:
    await session.connect()
    sequence = session.state.sequence
    await session.connect()
    assert session.state.sequence == sequence
    assert len(scripted_rooms.rooms) == 1


async def test_callers_at_the_same_time_share_one_join(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.joining.hold()
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(session.connect)
        await scripted_rooms.joining.wait_held()
        assert session.connection_state == "connecting"
        scripted_rooms.joining.open()
    assert session.connection_state == "connected"
    assert len(scripted_rooms.rooms) == len(scripted_rooms.tokens.requests) == 1


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (ConnectError("ws://here", "no route"), True),
        (ConnectError("ws://here", "wrong protocol", retryable=False), False),
        (RoomRefusedError("ws://here", "expired"), False),
    ],
)
async def test_a_join_that_fails_raises_and_the_state_says_error(
    session: Session, scripted_rooms: ScriptedRooms, error: LivelayerError, retryable: bool
) -> None:
    scripted_rooms.joining.fail(error)
    with session.subscribe(SessionFailed) as failures:
        with pytest.raises(type(error)) as caught:
            await session.connect()
        assert caught.value is error
        assert await anext(failures) == SessionFailed(str(error), retryable)
    assert session.connection_state == "error"
    assert session.error == str(error)
    assert not session.state.joined
    assert scripted_rooms.rooms[0].closed


async def test_every_waiting_caller_is_told_of_the_failure(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.joining.hold()
    told: list[LivelayerError] = []

    async def connect() -> None:
        try:
            await session.connect()
        except ConnectError as error:
            told.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(connect)
        group.start_soon(connect)
        await scripted_rooms.joining.wait_held()
        scripted_rooms.joining.fail(ConnectError("ws://here", "no route"))
    assert len(told) == 2


async def test_after_a_failure_connect_tries_again(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.joining.fail(ConnectError("ws://here", "no route"), times=1)
    with pytest.raises(ConnectError):
        await session.connect()
    await session.connect()
    assert session.connection_state == "connected"
    assert session.error is None
    assert [request.prior_room_name for request in scripted_rooms.tokens.requests] == [None, None]


@pytest.mark.parametrize(
    "error",
    [
        TokenSourceError("the endpoint", "no answer"),
        TokenRefusedError("the endpoint", 403, "no such agent"),
    ],
)
async def test_an_error_of_the_token_source_is_raised_as_it_is(
    session: Session, scripted_rooms: ScriptedRooms, error: LivelayerError
) -> None:
    scripted_rooms.tokens.gate.fail(error)
    with pytest.raises(type(error)) as caught:
        await session.connect()
    assert caught.value is error
    assert session.connection_state == "error"
    assert scripted_rooms.rooms == ()


async def test_a_foreign_error_of_a_token_source_becomes_ours(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.tokens.gate.fail(KeyError("token"))
    with pytest.raises(TokenSourceError) as caught:
        await session.connect()
    assert isinstance(caught.value.__cause__, KeyError)
    assert session.connection_state == "error"


async def test_a_foreign_error_of_a_room_leaves_no_session_that_connects_for_ever(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.joining.fail(RuntimeError("a fault of the adapter"), times=1)
    with pytest.raises(LivelayerError) as caught:
        await session.connect()
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert session.connection_state == "error"
    await session.connect()
    assert session.state.connection_state == "connected"


async def test_disconnecting_ends_a_join_under_way(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.joining.hold()
    told: list[NotConnectedError] = []

    async def connect() -> None:
        try:
            await session.connect()
        except NotConnectedError as error:
            told.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(connect)
        await scripted_rooms.joining.wait_held()
        await session.disconnect()
    assert len(told) == 1
    assert session.connection_state == "disconnected"
    await scripted_rooms.rooms[0].wait_closed()
    scripted_rooms.joining.open()
    await settle()
    assert session.connection_state == "disconnected"


async def test_connect_right_after_disconnect_joins_anew(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.joining.hold()

    async def connect_in_vain() -> None:
        with pytest.raises(NotConnectedError):
            await session.connect()

    async with anyio.create_task_group() as group:
        group.start_soon(connect_in_vain)
        await scripted_rooms.joining.wait_held()
        await session.disconnect()
        group.start_soon(session.connect)
        await scripted_rooms.joining.wait_arrived(2)
        scripted_rooms.joining.open()
    assert session.connection_state == "connected"
    assert [room.joined for room in scripted_rooms.rooms] == [False, True]


async def test_a_cancelled_connect_gives_the_join_up(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.joining.hold()
    async with anyio.create_task_group() as group:
        group.start_soon(session.connect)
        await scripted_rooms.joining.wait_held()
        group.cancel_scope.cancel()
    assert session.connection_state == "disconnected"
    await scripted_rooms.rooms[0].wait_closed()
    scripted_rooms.joining.open()
    await session.connect()
    assert session.state.connection_state == "connected"


async def test_a_cancelled_caller_does_not_take_the_join_from_the_others(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.joining.hold()
    scope = anyio.CancelScope()

    async def gives_up() -> None:
        with scope:
            await session.connect()

    async with anyio.create_task_group() as group:
        group.start_soon(gives_up)
        group.start_soon(session.connect)
        await scripted_rooms.joining.wait_held()
        await settle()
        scope.cancel()
        await settle()
        assert session.connection_state == "connecting"
        scripted_rooms.joining.open()
    assert session.connection_state == "connected"


async def test_what_a_room_reports_while_joining_is_heard_after_connected(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.joining.hold()
    start = session.state.sequence
    async with anyio.create_task_group() as group:
        group.start_soon(session.connect)
        await scripted_rooms.joining.wait_held()
        scripted_rooms.rooms[0].agent_joins()
        scripted_rooms.rooms[0].transcribes("one", "Good day")
        scripted_rooms.joining.open()
    with session.subscribe(after=start) as events:
        kinds = [type(await anext(events)) for _ in range(events.lag)]
    assert kinds.index(AgentAvailabilityChanged) > 1
    assert session.state.agent_active
    assert [entry.text for entry in session.transcript] == ["Good day"]


async def test_the_agents_config_comes_with_the_token(manual_clock: ManualClock) -> None:
    config = AgentConfig("Ada", avatar_image_url="/ada.png")
    rooms = ScriptedRooms(agent_config=config)
    async with Session("agt", tokens=rooms.tokens, room=rooms, clock=manual_clock) as session:
        assert session.agent_config is None
        with session.subscribe(AgentConfigChanged) as changes:
            await session.connect()
            assert await anext(changes) == AgentConfigChanged(config)
        assert session.agent_config == config


async def test_any_async_function_is_a_token_source(scripted_rooms: ScriptedRooms) -> None:
    async def tokens(request: TokenRequest) -> RoomAccess:
        return RoomAccess("ws://here", f"for {request.agent_id}", "my-room")

    async with Session("agt", tokens=tokens, room=scripted_rooms) as session:
        await session.connect()
        room = await scripted_rooms.next()
        assert room.access == RoomAccess("ws://here", "for agt", "my-room")


async def test_a_session_needs_a_way_to_get_a_token() -> None:
    with pytest.raises(MisuseError, match="tokens="):
        Session("agt")


async def test_a_session_that_is_not_open_says_so(scripted_rooms: ScriptedRooms) -> None:
    session = Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms)
    with pytest.raises(MisuseError, match="async with"):
        await session.connect()
    with pytest.raises(MisuseError, match="async with"):
        session.subscribe()
    assert session.connection_state == "idle"


async def test_a_session_is_entered_once(session: Session) -> None:
    with pytest.raises(MisuseError, match="once"):
        await session.__aenter__()
