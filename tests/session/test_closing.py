from __future__ import annotations

import asyncio
import gc
import os
import sys
import weakref
from contextlib import suppress

import anyio
import pytest

from livelayer_bus.errors import (
    BrokenError,
    ClosedError,
    ConnectError,
    ForkedError,
    NotConnectedError,
    WrongLoopError,
)
from livelayer_bus.events import DataReceived, SurfaceDidNotStop
from livelayer_bus.messages import UserMessage
from livelayer_bus.session import Session
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import PATIENCE, ManualClock, ScriptedRooms, settle
from livelayer_bus.testing.check_thread import running_tasks
from tests.virtual_time import VIRTUAL_TIME

pytestmark = pytest.mark.anyio
CLOSE_TIMEOUT = 20.0  # seconds of virtual time
in_virtual_time = pytest.mark.parametrize("anyio_backend", VIRTUAL_TIME)


async def idle(session: SurfaceSession) -> None:
    await anyio.sleep_forever()


async def test_leaving_the_block_leaves_the_room_and_ends_every_surface(
    scripted_rooms: ScriptedRooms,
) -> None:
    async with Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms) as session:
        surface = session.mount(idle, key="panel")
        await session.connect()
        room = await scripted_rooms.next()
    assert room.closed
    assert surface.status == "unmounted"
    assert session.connection_state == "disconnected"
    assert session.state.surfaces == ()
    assert (session.video.closed, session.audio.closed) == (True, True)


async def test_a_closed_session_stays_closed_and_can_still_be_read(
    scripted_rooms: ScriptedRooms,
) -> None:
    async with Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms) as session:
        pass
    with pytest.raises(ClosedError):
        await session.connect()
    with pytest.raises(ClosedError):
        await session.send_data(UserMessage("hello"))
    with pytest.raises(ClosedError):
        session.mount(idle, key="panel")
    with pytest.raises(ClosedError):
        await session.__aenter__()
    await session.aclose()
    assert session.state.agent_id == "agt"


async def test_whoever_waits_is_told_when_the_session_closes(
    scripted_rooms: ScriptedRooms,
) -> None:
    scripted_rooms.joining.hold()
    told: list[str] = []

    async def connect(session: Session) -> None:
        with suppress(NotConnectedError, ClosedError):
            await session.connect()
        told.append("connect")

    async def send(session: Session) -> None:
        with suppress(NotConnectedError, ClosedError):
            await session.send_data(UserMessage("hello"), timeout=60)
        told.append("send")

    async def ask(session: Session) -> None:
        with suppress(NotConnectedError, ClosedError):
            await session.request({"type": "ask"}, reply="answer", timeout=60)
        told.append("ask")

    session = Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group, session:
            group.start_soon(connect, session)
            await scripted_rooms.joining.wait_held()
            group.start_soon(send, session)
            group.start_soon(ask, session)
            await settle()
    assert sorted(told) == ["ask", "connect", "send"]


@in_virtual_time
async def test_a_room_that_never_closes_holds_closing_up_only_so_long(
    scripted_rooms: ScriptedRooms,
) -> None:
    session = Session(
        "agt", tokens=scripted_rooms.tokens, room=scripted_rooms, close_timeout=CLOSE_TIMEOUT
    )
    async with session:
        await session.connect()
        (await scripted_rooms.next()).closing.hold()
        began = anyio.current_time()
    assert anyio.current_time() - began <= CLOSE_TIMEOUT + 1e-6


@in_virtual_time
async def test_everything_that_hangs_together_still_closes_in_time(
    scripted_rooms: ScriptedRooms,
) -> None:
    async def never(event: DataReceived) -> None:
        await anyio.sleep_forever()

    session = Session(
        "agt", tokens=scripted_rooms.tokens, room=scripted_rooms, close_timeout=CLOSE_TIMEOUT
    )
    async with session:
        for number in range(20):
            session.mount(idle, key=str(number))
            session.subscribe_to_data_messages(never)
        await session.connect()
        room = await scripted_rooms.next()
        room.agent_joins()
        room.agent_says({"type": "n"})
        await settle()
        room.closing.hold()
        began = anyio.current_time()
    assert anyio.current_time() - began <= CLOSE_TIMEOUT + 1e-6


@pytest.mark.parametrize("anyio_backend", VIRTUAL_TIME[:1])
async def test_on_asyncio_a_surface_that_swallows_cancellation_is_left_behind_and_named(
    scripted_rooms: ScriptedRooms,
) -> None:
    over = anyio.Event()

    async def stubborn(session: SurfaceSession) -> None:
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    session = Session(
        "agt", tokens=scripted_rooms.tokens, room=scripted_rooms, close_timeout=CLOSE_TIMEOUT
    )
    async with session:
        surface = session.mount(stubborn, key="stubborn")
        other = session.mount(idle, key="other")
        await settle()
        start = session.state.sequence
        watcher = session.subscribe(SurfaceDidNotStop, after=start).__enter__()
        began = anyio.current_time()
    assert anyio.current_time() - began <= CLOSE_TIMEOUT + 1e-6
    assert (await anext(watcher)).key == "stubborn"
    assert (surface.status, other.status) == ("abandoned", "unmounted")
    over.set()
    await settle()


async def test_closing_inside_a_cancelled_scope_still_waits_for_everything(
    scripted_rooms: ScriptedRooms,
) -> None:
    cleaned: list[str] = []

    async def cleans_up(view: SurfaceSession) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await settle()
                cleaned.append(view.key)

    session = Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms)
    with anyio.CancelScope() as scope:
        async with session:
            session.mount(cleans_up, key="panel")
            await session.connect()
            scope.cancel()
            await anyio.sleep_forever()
    assert cleaned == ["panel"]
    assert scripted_rooms.rooms[0].closed
    assert session.state.surfaces == ()


@pytest.mark.parametrize("joins", [True, False], ids=["joining", "joined"])
async def test_however_often_the_block_is_cancelled_it_waits_until_the_room_is_left(
    scripted_rooms: ScriptedRooms, anyio_backend_name: str, joins: bool
) -> None:
    if anyio_backend_name != "asyncio":
        pytest.skip("only asyncio's own cancellation passes through a shield")
    if joins:
        scripted_rooms.joining.hold()

    async def use() -> None:
        async with Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms) as session:
            await session.connect()
            await anyio.sleep_forever()

    using = asyncio.ensure_future(use())
    await (scripted_rooms.joining.wait_held() if joins else scripted_rooms.next())
    room = scripted_rooms.rooms[0]
    room.closing.hold()
    for _ in range(4):
        using.cancel()
        await settle()
        assert not using.done()
    assert not room.closed
    room.closing.open()
    await asyncio.wait([using])
    assert using.cancelled()
    assert room.closed


async def test_an_error_of_the_block_is_raised_as_it_is(scripted_rooms: ScriptedRooms) -> None:
    async def fail() -> None:
        async with Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms) as session:
            await session.connect()
            raise ValueError("of the application")

    with pytest.raises(ValueError, match="of the application"):
        await fail()
    assert scripted_rooms.rooms[0].closed


async def test_a_room_that_the_server_ended_leaves_nothing(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await settle()
    before = len(running_tasks())
    for _ in range(20):
        await session.connect()
        room = await scripted_rooms.next()
        room.agent_joins()
        room.track_starts("video")
        room.lose("the room was deleted", rejoin=False, fault=False)
        await room.wait_closed()
        await settle()
    assert len(running_tasks()) == before


async def test_a_closed_session_can_be_collected(manual_clock: ManualClock) -> None:
    rooms = ScriptedRooms()
    async with Session("agt", tokens=rooms.tokens, room=rooms, clock=manual_clock) as session:
        session.mount(idle, key="panel")
        session.subscribe_to_data_messages(lambda _: None)
        await session.connect()
    collected = weakref.ref(session)
    del session, rooms
    await settle()
    gc.collect()
    assert collected() is None


async def test_another_event_loop_is_refused_by_name(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    caught: list[BaseException] = []

    async def elsewhere() -> None:
        for call in (session.connect, session.disconnect):
            try:
                await call()
            except WrongLoopError as error:
                caught.append(error)
        try:
            session.mount(idle, key="panel")
        except WrongLoopError as error:
            caught.append(error)

    await anyio.to_thread.run_sync(lambda: anyio.run(elsewhere))
    assert len(caught) == 3
    assert "loop" in str(caught[0])
    assert session.connection_state == "idle"


async def test_the_state_can_be_read_from_any_thread(session: Session) -> None:
    assert await anyio.to_thread.run_sync(lambda: session.state) == session.state


def run_a_whole_session() -> str:
    async def main() -> str:
        rooms = ScriptedRooms(agent="agent")
        async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
            await session.connect()
            await session.send_data(UserMessage("hello"))
            return session.id

    return asyncio.run(main())


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_two_loops_at_the_same_time_do_not_mix() -> None:
    ids: list[str] = []

    async def one() -> None:
        ids.append(await anyio.to_thread.run_sync(run_a_whole_session))

    async with anyio.create_task_group() as group:
        group.start_soon(one)
        group.start_soon(one)
    assert len(set(ids)) == 2


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_one_loop_after_the_other_works() -> None:
    first = await anyio.to_thread.run_sync(run_a_whole_session)
    second = await anyio.to_thread.run_sync(run_a_whole_session)
    assert first != second


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_forked_child_is_refused(session: Session) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            session.mount(idle, key="panel")
        except ForkedError:
            code = 0
        finally:
            os._exit(code)
    _, status = await anyio.to_thread.run_sync(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("error", [BrokenError("the SDK is gone"), RuntimeError("a fault")])
async def test_a_room_that_fails_to_close_is_left_all_the_same(
    scripted_rooms: ScriptedRooms, error: Exception
) -> None:
    async with Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms) as session:
        await session.connect()
        (await scripted_rooms.next()).closing.fail(error)
        await session.disconnect()
        assert session.connection_state == "disconnected"
        await session.connect()
        (await scripted_rooms.next()).closing.fail(error)
        await session.switch_agent("agt_other")
        assert session.state.connection_state == "connected"
        (await scripted_rooms.next()).closing.fail(error)
    assert session.connection_state == "disconnected"


@pytest.mark.parametrize("error", [BrokenError("the SDK is gone"), RuntimeError("a fault")])
async def test_a_room_that_fails_to_join_and_to_close_tells_why_it_did_not_join(
    manual_clock: ManualClock, error: Exception
) -> None:
    rooms = ScriptedRooms(prepare=lambda room: room.closing.fail(error))
    rooms.joining.fail(ConnectError("ws://here", "no route"))
    async with Session("agt", tokens=rooms.tokens, room=rooms, clock=manual_clock) as session:
        with pytest.raises(ConnectError, match="no route"):
            await session.connect()
