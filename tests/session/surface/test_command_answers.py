from __future__ import annotations

import anyio
import pytest

from livelayer_bus.events import RefusalReason
from livelayer_bus.messages import Click, Command, CommandResult, Navigate, RawMessage, SubmitForm
from livelayer_bus.session import Session
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import ManualClock, ScriptedRoom, ScriptedRooms, settle

from .kit import COMMAND_TIMEOUT, ByHand, Obedient, idle, result

pytestmark = pytest.mark.anyio


async def test_a_surface_that_does_not_settle_is_answered_for(
    session: Session, room: ScriptedRoom, manual_clock: ManualClock
) -> None:
    session.mount(idle, key="panel", capabilities=["navigate"])
    room.agent_says({"type": "navigate", "href": "/", "requestId": "7"})
    await manual_clock.wait_for_sleepers()
    await manual_clock.elapse(COMMAND_TIMEOUT - 0.1)
    assert room.sent == ()
    await manual_clock.elapse(0.1)
    assert await result(room) == CommandResult(
        command="navigate", ok=False, reason="timeout", request_id="7", surface="panel"
    )


@pytest.mark.parametrize("reason", ["failed", "invalid", "timeout"])
async def test_a_surface_can_say_that_it_failed(
    session: Session, room: ScriptedRoom, reason: RefusalReason
) -> None:
    panel = ByHand()
    session.mount(panel, key="panel", capabilities=["click"])
    room.agent_says(Click("#gone"))
    await settle()
    panel.finish(panel.given[0], ok=False, reason=reason)
    answer = await result(room)
    assert (answer.ok, answer.reason, answer.surface) == (False, reason, "panel")


async def test_each_command_is_answered_once(
    session: Session, room: ScriptedRoom, manual_clock: ManualClock
) -> None:
    panel = ByHand()
    session.mount(panel, key="panel", capabilities=["click"])
    room.agent_says(Click("#one"))
    room.agent_says(Click("#one"))
    await settle()
    for command in panel.given * 2:
        panel.finish(command)
    await manual_clock.elapse(2 * COMMAND_TIMEOUT)
    assert [packet.type for packet in room.sent] == ["command_result"] * 2


async def test_commands_can_be_settled_in_any_order(session: Session, room: ScriptedRoom) -> None:
    panel = ByHand()
    session.mount(panel, key="panel", capabilities=["submit_forms"])
    for number in "123":
        room.agent_says(SubmitForm("order", request_id=number))
    await settle()
    for command in reversed(panel.given):
        panel.finish(command)
    await settle()
    assert [packet.json()["requestId"] for packet in room.sent] == ["3", "2", "1"]


async def test_unmounting_answers_what_was_under_way(session: Session, room: ScriptedRoom) -> None:
    panel = ByHand()
    surface = session.mount(panel, key="panel", capabilities=["click"])
    room.agent_says(Click("#one"))
    await settle()
    await surface.unmount()
    answer = await result(room)
    assert (answer.ok, answer.reason) == (False, "failed")


async def test_a_surface_that_fails_at_a_command_says_so_at_once(
    session: Session, room: ScriptedRoom
) -> None:
    async def fails(view: SurfaceSession) -> None:
        async for _ in view.commands():
            raise ValueError("a fault of its own")

    session.mount(fails, key="panel", capabilities=["click"])
    room.agent_says(Click("#one"))
    answer = await result(room)
    assert (answer.ok, answer.reason, answer.surface) == (False, "failed", "panel")


async def test_a_surface_that_failed_gets_the_commands_that_came_meanwhile(
    session: Session, room: ScriptedRoom, manual_clock: ManualClock
) -> None:
    given: list[Command | RawMessage] = []

    async def fails_once(view: SurfaceSession) -> None:
        async for command in view.commands():
            given.append(command)
            if len(given) == 1:
                raise ValueError("a fault of its own")

    session.mount(fails_once, key="panel", capabilities=["click"])
    room.agent_says(Click("#one"))
    room.agent_says(Click("#two"))
    assert not (await result(room)).ok
    await manual_clock.wait_for_sleepers()
    await manual_clock.elapse(1)
    assert (await result(room)).ok
    assert given == [Click("#one"), Click("#two")]


async def test_a_command_that_was_answered_for_is_not_carried_out_later(
    session: Session, room: ScriptedRoom, manual_clock: ManualClock
) -> None:
    panel, go_on = Obedient(), anyio.Event()

    async def late(view: SurfaceSession) -> None:
        await go_on.wait()
        await panel.run(view)

    session.mount(late, key="panel", capabilities=["navigate"])
    room.agent_says(Navigate("/old"))
    await settle()
    await manual_clock.elapse(COMMAND_TIMEOUT)
    assert (await result(room)).reason == "timeout"
    go_on.set()
    room.agent_says(Navigate("/new"))
    assert (await result(room)).ok
    assert panel.given == [Navigate("/new")]


async def test_a_disconnect_drops_what_was_under_way(
    session: Session, room: ScriptedRoom, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    session.mount(idle, key="panel", capabilities=["navigate"])
    room.agent_says(Navigate("/"))
    await settle()
    await session.disconnect()
    await session.connect()
    again = await scripted_rooms.next()
    again.agent_joins()
    await manual_clock.elapse(COMMAND_TIMEOUT)
    assert again.sent == ()


async def test_a_result_for_one_agent_never_reaches_the_next(
    session: Session, room: ScriptedRoom, scripted_rooms: ScriptedRooms
) -> None:
    room.agent_says(Navigate("/refused"))
    await session.switch_agent("agt_other")
    other = await scripted_rooms.next()
    other.agent_joins()
    await settle()
    assert other.sent == ()
    other.agent_says(Click("#refused"))
    assert (await result(other)).command == "click"


async def test_a_command_of_one_agent_is_not_carried_out_for_the_next(
    session: Session, room: ScriptedRoom, scripted_rooms: ScriptedRooms
) -> None:
    panel, go_on = Obedient(), anyio.Event()

    async def late(view: SurfaceSession) -> None:
        await go_on.wait()
        await panel.run(view)

    session.mount(late, key="panel", capabilities=["navigate"])
    room.agent_says(Navigate("/old"))
    await settle()
    await session.switch_agent("agt_other")
    go_on.set()
    await settle()
    assert panel.given == []


async def test_results_go_out_in_order_while_the_transport_is_slow(
    session: Session, room: ScriptedRoom
) -> None:
    session.mount(Obedient(), key="panel", capabilities=["click"])
    room.sending.hold()
    for number in range(5):
        room.agent_says({"type": "click", "selector": "#a", "requestId": str(number)})
    await room.sending.wait_held()
    await settle()
    room.sending.open()
    assert [(await result(room)).request_id for _ in range(5)] == list("01234")


async def test_a_flood_of_commands_is_bounded_and_each_is_answered(
    session: Session, room: ScriptedRoom
) -> None:
    session.mount(idle, key="panel", capabilities=["click"])
    for number in range(300):
        room.agent_says({"type": "click", "selector": "#a", "requestId": str(number)})
    for _ in range(300 - 256):
        assert (await result(room)).reason == "failed"


async def test_a_settled_command_leaves_no_timer(
    session: Session, room: ScriptedRoom, manual_clock: ManualClock
) -> None:
    session.mount(Obedient(), key="quick", capabilities=["click"])
    session.mount(idle, key="never", capabilities=["navigate"])
    for _ in range(5):
        room.agent_says(Click("#a"))
        await result(room)
    await settle()
    assert manual_clock.sleepers == 0
    room.agent_says(Navigate("/"))
    await manual_clock.wait_for_sleepers()
    await session.switch_agent("agt_other")
    await settle()
    assert manual_clock.sleepers == 0
