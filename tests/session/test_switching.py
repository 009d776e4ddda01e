from __future__ import annotations

import anyio
import pytest

from livelayer_bus.errors import ConnectError, NotConnectedError
from livelayer_bus.events import AgentConfig, EpochStarted
from livelayer_bus.messages import Navigate, RawMessage
from livelayer_bus.session import Session
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms, settle
from livelayer_bus.tokens import RoomAccess, TokenRequest

pytestmark = pytest.mark.anyio


async def joined(session: Session, rooms: ScriptedRooms) -> ScriptedRoom:
    await session.connect()
    room = await rooms.next()
    room.agent_joins()
    return room


async def idle(session: SurfaceSession) -> None:
    await anyio.sleep_forever()


async def test_a_switch_is_a_new_epoch_with_nothing_of_the_old(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.tokens.agent_config = AgentConfig("Ada")
    room = await joined(session, scripted_rooms)
    room.transcribes("one", "Good day")
    room.agent_state("speaking")
    session_id = session.id
    scripted_rooms.tokens.agent_config = None
    with session.subscribe(EpochStarted) as epochs:
        await session.switch_agent("agt_other")
        assert await anext(epochs) == EpochStarted(2, "agt_other")
    state = session.state
    assert (state.id, state.epoch, state.agent_id) == (session_id, 2, "agt_other")
    assert (state.transcript, state.agent_config, state.raw_agent_state) == ((), None, None)
    assert not state.agent_active
    assert scripted_rooms.tokens.requests[-1] == TokenRequest("agt_other")
    assert room.closed


async def test_a_connected_session_connects_to_the_new_agent(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await joined(session, scripted_rooms)
    await session.switch_agent("agt_other")
    assert session.connection_state == "connected"
    assert len(scripted_rooms.rooms) == 2


async def test_an_idle_session_stays_idle(session: Session, scripted_rooms: ScriptedRooms) -> None:
    await session.switch_agent("agt_other")
    assert session.connection_state == "idle"
    assert scripted_rooms.rooms == ()


async def test_the_sequence_goes_on_and_cursors_stay_good(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await joined(session, scripted_rooms)
    cursor = f"{session.id}:{session.state.sequence}"
    before = session.state.sequence
    await session.switch_agent("agt_other")
    assert session.state.sequence > before
    with session.subscribe(after=cursor) as events:
        heard = [await anext(events) for _ in range(events.lag)]
    assert EpochStarted(2, "agt_other") in heard


async def test_surfaces_stay_mounted(session: Session, scripted_rooms: ScriptedRooms) -> None:
    surface = session.mount(idle, key="panel")
    await joined(session, scripted_rooms)
    await session.switch_agent("agt_other")
    assert session.state.surfaces == ("panel",)
    assert surface.status == "running"


async def test_nothing_the_old_agent_says_is_heard(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    old = await joined(session, scripted_rooms)
    old.closing.hold()
    async with anyio.create_task_group() as group:
        group.start_soon(session.switch_agent, "agt_other")
        await old.closing.wait_held()
        sequence = session.state.sequence
        old.transcribes("ghost", "boo")
        old.agent_says(RawMessage("ghost"))
        old.agent_says(Navigate("/ghost"))
        old.agent_state("thinking")
        old.agent_leaves()
        old.track_starts("video")
        old.lose("ghost")
        assert session.state.sequence == sequence
        assert not session.video.available
        old.closing.open()
    assert session.connection_state == "connected"


async def test_no_frame_of_the_old_agent_is_delivered_after_the_switch(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    old = await joined(session, scripted_rooms)
    old.track_starts("video")
    old.track_starts("audio")
    with session.video.subscribe() as pictures, session.audio.subscribe() as sounds:
        old.push_video()
        old.push_audio()
        old.push_audio()
        await session.switch_agent("agt_other")
        new = await scripted_rooms.next()
        assert session.video.latest is None
        assert (pictures.statistics().waiting, sounds.statistics().waiting) == (0, 0)
        new.track_starts("audio")
        sound = new.push_audio()
        assert await anext(sounds) is sound
        assert sounds.statistics().dropped == 2


async def test_a_switch_never_returns_to_the_old_agents_room(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await joined(session, scripted_rooms)
    await session.disconnect()
    assert session.can_resume
    await session.switch_agent("agt_other")
    assert not session.state.can_resume
    await session.connect()
    assert [request.prior_room_name for request in scripted_rooms.tokens.requests] == [None, None]


async def test_a_switch_while_connecting_joins_only_the_new_agent(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    scripted_rooms.joining.hold()

    async def connect_in_vain() -> None:
        with pytest.raises(NotConnectedError, match="change of agent"):
            await session.connect()

    async with anyio.create_task_group() as group:
        group.start_soon(connect_in_vain)
        await scripted_rooms.joining.wait_held()
        group.start_soon(session.switch_agent, "agt_other")
        await scripted_rooms.joining.wait_arrived(2)
        await settle()
        scripted_rooms.joining.open()
    assert (session.connection_state, session.agent_id) == ("connected", "agt_other")
    assert [room.joined for room in scripted_rooms.rooms] == [False, True]


async def test_a_new_token_source_is_asked_from_then_on(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    asked: list[TokenRequest] = []

    async def tokens(request: TokenRequest) -> RoomAccess:
        asked.append(request)
        return RoomAccess("ws://there", "t")

    await joined(session, scripted_rooms)
    await session.reconfigure(agent_id="agt_other", base_url="https://there", tokens=tokens)
    assert asked == [TokenRequest("agt_other", "https://there")]
    assert session.base_url == "https://there"
    assert len(scripted_rooms.tokens.requests) == 1


async def test_a_switch_to_an_agent_that_cannot_be_reached_raises_and_stays_switched(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await joined(session, scripted_rooms)
    scripted_rooms.joining.fail(ConnectError("ws://here", "no route"), times=1)
    with pytest.raises(ConnectError):
        await session.switch_agent("agt_other")
    assert (session.agent_id, session.connection_state) == ("agt_other", "error")
