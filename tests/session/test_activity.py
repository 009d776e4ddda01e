"""What the agent is doing, as the session has it; and how it is interrupted."""

from __future__ import annotations

import anyio
import pytest

from livelayer_bus import messages as m
from livelayer_bus.errors import NoAgentError, NotConnectedError, NotSupportedError
from livelayer_bus.events import (
    Event,
    FalseInterruption,
    MalformedMessage,
    ToolCallChanged,
    TurnEnded,
    UsageUpdated,
)
from livelayer_bus.messages import AgentToolCall, BotReady, ToolStatus
from livelayer_bus.session import Session
from livelayer_bus.session.connection import ANNOUNCE_SECONDS
from livelayer_bus.state import MAX_TOOLS
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import PATIENCE, ManualClock, ScriptedRoom, ScriptedRooms, settle

pytestmark = pytest.mark.anyio


async def joined(session: Session, rooms: ScriptedRooms, *, confirms: bool = True) -> ScriptedRoom:
    await session.connect()
    room = await rooms.next()
    room.agent_joins(confirms=confirms)
    return room


def call(name: str, status: ToolStatus, **more: str) -> AgentToolCall:
    return AgentToolCall(call_id=name, name=name, status=status, **more)


async def test_what_the_agent_reports_is_an_event_with_the_same_fields(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    usage = (m.ModelUsage("llm", "acme", "big", {"input_tokens": 812, "seconds": 1.5}),)
    kinds = ToolCallChanged, TurnEnded, FalseInterruption, UsageUpdated
    with session.subscribe(*kinds) as events:
        room.agent_says(call("look_up", "done", arguments='{"id": 7}', message="found"))
        room.agent_says(m.AgentTurnEnded("agent", interrupted=True))
        room.agent_says(m.AgentFalseInterruption(resumed=False))
        room.agent_says(m.AgentUsage(usage))
        heard: list[Event] = [await anext(events) for _ in range(events.lag)]
    assert heard == [
        ToolCallChanged("look_up", "look_up", "done", '{"id": 7}', "found"),
        TurnEnded("agent", interrupted=True),
        FalseInterruption(resumed=False),
        UsageUpdated(usage),
    ]


async def test_only_the_agent_reports_and_only_in_the_right_form(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    with session.subscribe(ToolCallChanged, MalformedMessage) as events:
        room.packet(m.encode(call("look_up", "started")), sender="a-person")
        room.agent_says({"type": "agent_tool_call", "callId": "1", "name": "x", "status": "begun"})
        assert [type(await anext(events)) for _ in range(events.lag)] == [MalformedMessage]
    assert session.state.tools == ()


async def test_the_state_has_the_calls_that_run_until_they_end_or_the_agent_leaves(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)

    def running() -> list[tuple[str, str]]:
        return [(one.name, one.status) for one in session.state.tools]

    room.agent_says(call("a", "started"))
    room.agent_says(call("b", "started"))
    room.agent_says(call("a", "updated", message="half"))
    assert running() == [("a", "updated"), ("b", "started")]
    room.agent_says(call("a", "cancelled"))
    room.agent_says(call("never begun", "error"))
    assert running() == [("b", "started")]
    for number in range(2 * MAX_TOOLS):
        room.agent_says(call(str(number), "started"))
    assert len(session.state.tools) == MAX_TOOLS
    room.agent_leaves()
    assert running() == []


async def test_interrupting_returns_when_the_bridge_was_told(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    used: list[SurfaceSession] = []

    async def surface(view: SurfaceSession) -> None:
        used.append(view)
        await view.interrupt()

    for interrupt in (session.interrupt, None):
        async with anyio.create_task_group() as group:
            if interrupt is not None:
                group.start_soon(interrupt)
            else:
                session.mount(surface, key="panel")
            with anyio.fail_after(PATIENCE):
                packet = await room.next_sent("interrupt")
            assert packet.to == ("agent",)
            room.agent_confirms(packet)
    await settle()
    assert len(used) == 1
    assert session.statistics().confirmed == 2


async def test_without_an_agent_or_its_bridge_interrupting_says_so(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    with pytest.raises(NotConnectedError):
        await session.interrupt()
    await session.connect()
    room = await scripted_rooms.next()
    with pytest.raises(NoAgentError, match="no agent is active"):
        await session.interrupt()
    room.agent_joins(active=False)
    with pytest.raises(NoAgentError):
        await session.interrupt()

    room.agent_activates()
    room.agent_says(BotReady())
    async with anyio.create_task_group() as group:

        async def refused() -> None:
            with pytest.raises(NotSupportedError, match="SurfaceBridge"):
                await session.interrupt()

        group.start_soon(refused)
        await settle()
        manual_clock.advance(ANNOUNCE_SECONDS)
    assert room.sent == ()
