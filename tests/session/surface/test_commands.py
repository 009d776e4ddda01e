from __future__ import annotations

from collections.abc import Mapping

import pytest

from livelayer_bus.events import CommandFinished, CommandReceived, CommandRefused, MalformedMessage
from livelayer_bus.messages import (
    ALL,
    Click,
    CommandResult,
    Navigate,
    RawMessage,
    RequestRoutes,
    ScrollPage,
    UserMessage,
)
from livelayer_bus.session import Session
from livelayer_bus.testing import ScriptedRoom, settle

from .kit import Obedient, result

pytestmark = pytest.mark.anyio


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
