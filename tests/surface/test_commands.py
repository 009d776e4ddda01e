from __future__ import annotations

from collections.abc import Mapping

import anyio
import pytest

from livelayer_bus.capabilities import ALL
from livelayer_bus.events import (
    CommandFinished,
    CommandReceived,
    CommandRefused,
    MalformedMessage,
    RefusalReason,
)
from livelayer_bus.messages import (
    Click,
    Command,
    CommandResult,
    Navigate,
    RawMessage,
    RequestRoutes,
    ScrollPage,
    SubmitForm,
    UserMessage,
)
from livelayer_bus.session import Session
from livelayer_bus.surface import SurfaceSession
from livelayer_bus.testing import ManualClock, ScriptedRoom, ScriptedRooms, settle

pytestmark = pytest.mark.anyio
COMMAND_TIMEOUT = 10.0  # seconds


class Obedient:
    """Carries out every command at once, and keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[Command | RawMessage] = []
        self.view: SurfaceSession | None = None

    async def run(self, session: SurfaceSession) -> None:
        self.view = session
        async for command in session.commands():
            self.given.append(command)


class ByHand:
    """Takes commands, and settles them when the test says so."""

    def __init__(self) -> None:
        self.given: list[Command | RawMessage] = []
        self._commands: list[object] = []

    async def run(self, session: SurfaceSession) -> None:
        commands = session.commands(auto=False)
        self.finish = commands.finish
        async for command in commands:
            self.given.append(command)


async def idle(session: SurfaceSession) -> None:
    await anyio.sleep_forever()


@pytest.fixture
async def room(
    anyio_backend: object, session: Session, scripted_rooms: ScriptedRooms
) -> ScriptedRoom:
    await session.connect()
    room = await scripted_rooms.next()
    room.agent_joins()
    await settle()
    return room


async def result(room: ScriptedRoom) -> CommandResult:
    with anyio.fail_after(5):
        message = (await room.next_sent("command_result")).message
    assert isinstance(message, CommandResult)
    return message


async def test_a_command_reaches_the_surface_that_may_and_the_agent_hears(
    session: Session, room: ScriptedRoom
) -> None:
    panel = Obedient()
    session.mount(panel, key="panel", capabilities=["navigate"])
    await settle()
    with session.subscribe(CommandReceived, CommandFinished) as events:
        room.agent_says({"type": "navigate", "href": "/pricing", "requestId": "7"})
        assert await result(room) == CommandResult(
            command="navigate", ok=True, request_id="7", surface="panel"
        )
        received, finished = await anext(events), await anext(events)
    assert panel.given == [Navigate("/pricing")]
    assert isinstance(received, CommandReceived)
    assert (received.command, received.number, received.surface, received.sender) == (
        "navigate",
        1,
        "panel",
        "agent",
    )
    assert finished == CommandFinished("navigate", 1, "panel", ok=True, request_id="7")


async def test_without_a_capability_a_command_is_refused_and_the_agent_hears(
    session: Session, room: ScriptedRoom
) -> None:
    panel = Obedient()
    session.mount(panel, key="panel")
    await settle()
    with session.subscribe(CommandRefused) as refusals:
        room.agent_says(RequestRoutes(request_id="7"))
        refused = await anext(refusals)
    assert (refused.command, refused.reason, refused.request_id) == (
        "request_routes",
        "capability",
        "7",
    )
    assert "read_page" in refused.detail
    assert await result(room) == CommandResult(
        command="request_routes", ok=False, reason="capability", request_id="7"
    )
    assert panel.given == []


async def test_a_command_goes_to_one_surface_the_first_that_may(
    session: Session, room: ScriptedRoom
) -> None:
    panels = [Obedient() for _ in range(4)]
    session.mount(panels[0], key="0", capabilities=["scroll"])
    session.mount(panels[1], key="1", capabilities=["navigate"])
    session.mount(panels[2], key="2", capabilities=ALL)
    session.mount(panels[3], key="3")
    await settle()
    room.agent_says(Navigate("/"))
    assert (await result(room)).surface == "1"
    room.agent_says(Click("#buy"))
    assert (await result(room)).surface == "2"
    room.agent_says(ScrollPage("down"))
    assert (await result(room)).surface == "0"
    assert [len(panel.given) for panel in panels] == [1, 1, 1, 0]


async def test_the_surface_a_person_used_last_comes_first(
    session: Session, room: ScriptedRoom
) -> None:
    first, second, third = Obedient(), Obedient(), Obedient()
    session.mount(first, key="first", capabilities=["navigate"])
    session.mount(second, key="second", capabilities=["navigate"])
    session.mount(third, key="third", capabilities=["scroll"])
    await settle()
    assert first.view is not None
    assert second.view is not None
    assert third.view is not None
    second.view.mark_used()
    room.agent_says(Navigate("/"))
    assert (await result(room)).surface == "second"
    await first.view.send_data(UserMessage("typed by a person"))
    room.agent_says(Navigate("/"))
    assert (await result(room)).surface == "first"
    third.view.mark_used()  # it may not navigate: the one used before it does
    room.agent_says(Navigate("/"))
    assert (await result(room)).surface == "first"
    await second.view.send_data({"type": "page_opened"})  # no person typed that
    room.agent_says(Navigate("/"))
    assert (await result(room)).surface == "first"


async def test_a_command_before_the_surface_asks_is_not_lost(
    session: Session, room: ScriptedRoom
) -> None:
    panel = Obedient()
    session.mount(panel, key="panel", capabilities=["navigate"])
    room.agent_says(Navigate("/early"))
    assert (await result(room)).ok
    assert panel.given == [Navigate("/early")]


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


@pytest.mark.parametrize(
    "message",
    [
        {"type": "navigate"},
        {"type": "navigate", "href": "javascript:alert(1)"},
        {"type": "navigate", "href": 7},
        {"type": "scroll_page", "direction": "sideways"},
        {"type": "fill_form", "formId": "order"},
        {"type": "task_completed", "result": None},
    ],
)
async def test_a_malformed_command_is_told_and_skipped(
    session: Session, room: ScriptedRoom, message: Mapping[str, object]
) -> None:
    panel = Obedient()
    session.mount(panel, key="panel", capabilities=ALL)
    await settle()
    with session.subscribe(MalformedMessage, CommandRefused) as events:
        room.agent_says({**message, "requestId": "7"})
        room.agent_says(Navigate("/after"))
        malformed, refused = await anext(events), await anext(events)
    assert isinstance(malformed, MalformedMessage)
    assert malformed.type == message["type"]
    assert isinstance(refused, CommandRefused)
    assert refused.reason == "invalid"
    assert await result(room) == CommandResult(
        command=str(message["type"]), ok=False, reason="invalid", request_id="7"
    )
    assert (await result(room)).ok
    assert panel.given == [Navigate("/after")]


async def test_only_an_agent_can_command(session: Session, room: ScriptedRoom) -> None:
    panel = Obedient()
    session.mount(panel, key="panel", capabilities=ALL)
    await settle()
    with session.subscribe(CommandRefused) as refusals:
        room.packet(Navigate("/evil"), sender="somebody")
        room.packet({"type": "navigate"}, sender="somebody")
        room.packet(Navigate("/evil"), sender=None)
        for _ in range(3):
            assert (await anext(refusals)).reason == "sender"
    await settle()
    assert panel.given == []
    assert room.sent == ()  # no agent asked, so no agent is told


async def test_an_avatar_worker_commands_on_the_agents_behalf(
    session: Session, room: ScriptedRoom
) -> None:
    panel = Obedient()
    session.mount(panel, key="panel", capabilities=ALL)
    room.packet(Navigate("/"), sender="avatar-worker", from_agent=True)
    assert (await result(room)).ok
    assert panel.given == [Navigate("/")]


async def test_unknown_types_reach_every_surface_and_need_no_answer(
    session: Session, room: ScriptedRoom
) -> None:
    first, second = Obedient(), Obedient()
    session.mount(first, key="first")
    session.mount(second, key="second")
    await settle()
    room.agent_says({"type": "quiz", "number": 1})
    room.packet({"type": "quiz", "number": 2}, sender="somebody")
    await settle()
    assert first.given == second.given == [RawMessage("quiz", {"number": 1})]
    assert room.sent == ()


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
