"""What must not be missed is not, however many events there are while a reader waits."""

from __future__ import annotations

import anyio
import pytest

from livelayer_bus.events import HandlerFailed
from livelayer_bus.messages import Click, Command, RawMessage, SubmitForm
from livelayer_bus.session import commands
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms, settle

from ..conftest import MakeSession
from .kit import result

pytestmark = pytest.mark.anyio
CAPACITY = 16


def flood(room: ScriptedRoom) -> None:
    """More events than the ring has places for."""
    for number in range(3 * CAPACITY):
        room.agent_says({"type": "tick", "number": number})


async def test_results_go_on_after_a_switch_that_the_ring_has_lost(
    make_session: MakeSession, scripted_rooms: ScriptedRooms
) -> None:
    async with make_session(capacity=CAPACITY) as session:
        await session.connect()
        first = await scripted_rooms.next()
        first.agent_joins()
        first.sending.hold()
        first.agent_says(SubmitForm("order", request_id="1"))  # refused: no surface can do it
        await first.sending.wait_held()
        await session.switch_agent("agt_other")
        second = await scripted_rooms.next()
        second.agent_joins()
        flood(second)
        first.sending.open()
        second.agent_says(SubmitForm("order", request_id="2"))
        flood(second)
        assert (await result(second)).request_id == "2"
        assert [packet.json()["requestId"] for packet in second.sent] == ["2"]


async def test_no_result_is_lost_while_one_waits_for_the_transport(
    make_session: MakeSession, scripted_rooms: ScriptedRooms
) -> None:
    numbers = [str(number) for number in range(5 * CAPACITY)]
    async with make_session(capacity=CAPACITY) as session:
        await session.connect()
        room = await scripted_rooms.next()
        room.agent_joins()
        room.sending.hold()
        for number in numbers:
            room.agent_says(SubmitForm("order", request_id=number))
        await room.sending.wait_held()
        flood(room)
        room.sending.open()
        assert [(await result(room)).request_id for _ in numbers] == numbers


async def test_results_past_the_queue_are_counted_in_one_event(
    make_session: MakeSession, scripted_rooms: ScriptedRooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "MAX_RESULTS", 3)
    async with make_session() as session:
        await session.connect()
        room = await scripted_rooms.next()
        room.agent_joins()
        with session.subscribe(HandlerFailed) as faults:
            for number in range(10):
                room.agent_says(SubmitForm("order", request_id=str(number)))
            fault = await anext(faults)
            assert (fault.handler, faults.lag) == ("command_result", 0)
            assert fault.error.startswith("7 results were dropped")
        assert [packet.json()["requestId"] for packet in room.sent] == ["0", "1", "2"]


async def test_a_surface_that_lost_events_still_gets_each_of_its_commands_once(
    make_session: MakeSession, scripted_rooms: ScriptedRooms
) -> None:
    ready = anyio.Event()
    given: list[Command | RawMessage] = []

    async def slow(session: SurfaceSession) -> None:
        await ready.wait()
        async for command in session.commands():
            given.append(command)  # noqa: PERF401 - each is there at once

    async with make_session(capacity=CAPACITY) as session:
        session.mount(slow, key="panel", capabilities=["click"])
        await session.connect()
        room = await scripted_rooms.next()
        room.agent_joins()
        clicks = [Click(f"#{number}") for number in range(6)]
        for click in clicks[:4]:
            room.agent_says(click)
        flood(room)
        for click in clicks[4:]:
            room.agent_says(click)
        ready.set()
        await settle()
        assert [one for one in given if not isinstance(one, RawMessage)] == clicks
        assert [(await result(room)).ok for _ in clicks] == [True] * len(clicks)
