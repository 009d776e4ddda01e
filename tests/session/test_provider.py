from __future__ import annotations

import anyio
import pytest

from livelayer_bus.errors import ClosedError, NoProviderError
from livelayer_bus.session import AgentSessionProvider, Session, use_agent_session
from livelayer_bus.testing import ScriptedRooms

pytestmark = pytest.mark.anyio


async def test_the_provider_opens_without_connecting(scripted_rooms: ScriptedRooms) -> None:
    async with AgentSessionProvider(
        "agt", tokens=scripted_rooms.tokens, room=scripted_rooms
    ) as session:
        assert use_agent_session() is session
        assert session.connection_state == "idle"
        assert scripted_rooms.rooms == ()
    with pytest.raises(ClosedError):
        await session.connect()


async def test_every_task_beneath_finds_the_session(scripted_rooms: ScriptedRooms) -> None:
    found: list[Session] = []

    async def deep() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(deeper)

    async def deeper() -> None:
        found.append(use_agent_session())

    async with (
        AgentSessionProvider("agt", tokens=scripted_rooms.tokens, room=scripted_rooms) as session,
        anyio.create_task_group() as group,
    ):
        group.start_soon(deep)
    assert found == [session]


async def test_elsewhere_there_is_none_and_the_error_names_the_asgi_pattern(
    scripted_rooms: ScriptedRooms,
) -> None:
    with pytest.raises(NoProviderError, match=r"app\.state"):
        use_agent_session()
    async with AgentSessionProvider("agt", tokens=scripted_rooms.tokens, room=scripted_rooms):
        pass
    with pytest.raises(NoProviderError):
        use_agent_session()


async def test_the_nearest_provider_is_found(scripted_rooms: ScriptedRooms) -> None:
    other = ScriptedRooms()
    async with AgentSessionProvider(
        "agt_outer", tokens=scripted_rooms.tokens, room=scripted_rooms
    ) as outer:
        async with AgentSessionProvider("agt_inner", tokens=other.tokens, room=other) as inner:
            assert use_agent_session() is inner
        assert use_agent_session() is outer


async def test_a_task_that_started_before_does_not_find_it(
    scripted_rooms: ScriptedRooms,
) -> None:
    opened, done = anyio.Event(), anyio.Event()
    missing: list[NoProviderError] = []

    async def sibling() -> None:
        await opened.wait()
        try:
            use_agent_session()
        except NoProviderError as error:
            missing.append(error)
        done.set()

    async with anyio.create_task_group() as group:
        group.start_soon(sibling)
        await anyio.lowlevel.checkpoint()
        async with AgentSessionProvider("agt", tokens=scripted_rooms.tokens, room=scripted_rooms):
            opened.set()
            await done.wait()
    assert len(missing) == 1


async def test_a_provider_in_two_tasks_side_by_side_keeps_them_apart() -> None:
    found: dict[str, str] = {}

    async def one(agent_id: str) -> None:
        rooms = ScriptedRooms()
        async with AgentSessionProvider(agent_id, tokens=rooms.tokens, room=rooms):
            await anyio.lowlevel.checkpoint()
            found[agent_id] = use_agent_session().agent_id

    async with anyio.create_task_group() as group:
        group.start_soon(one, "agt_1")
        group.start_soon(one, "agt_2")
    assert found == {"agt_1": "agt_1", "agt_2": "agt_2"}
