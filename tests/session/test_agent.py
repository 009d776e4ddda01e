from __future__ import annotations

import anyio
import pytest

from livelayer_bus.events import (
    AgentAvailabilityChanged,
    AgentStateChanged,
    CommandRefused,
    DataReceived,
    TrackChanged,
    TranscriptUpdated,
)
from livelayer_bus.messages import (
    AgentError,
    AgentStateMessage,
    BotReady,
    Click,
    Message,
    RawMessage,
    SubmitForm,
)
from livelayer_bus.session import Session
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms, settle

pytestmark = pytest.mark.anyio


@pytest.fixture
async def room(
    anyio_backend: object, session: Session, scripted_rooms: ScriptedRooms
) -> ScriptedRoom:
    await session.connect()
    return await scripted_rooms.next()


def facts(session: Session) -> tuple[bool, bool, bool]:
    state = session.state
    return state.joined, state.agent_active, state.agent_ready


async def test_joined_active_and_ready_are_three_facts(
    session: Session, room: ScriptedRoom
) -> None:
    with session.subscribe(AgentAvailabilityChanged) as changes:
        assert facts(session) == (True, False, False)
        room.agent_joins(active=False)
        assert facts(session) == (True, False, False)
        assert session.state.agent_identity == "agent"
        room.agent_activates()
        assert facts(session) == (True, True, False)
        room.agent_says(BotReady())
        assert facts(session) == (True, True, True)
        room.agent_leaves()
        assert facts(session) == (True, False, False)
        heard = [await anext(changes) for _ in range(changes.lag)]
    assert heard == [
        AgentAvailabilityChanged(active=False, ready=False, identity="agent"),
        AgentAvailabilityChanged(active=True, ready=False, identity="agent"),
        AgentAvailabilityChanged(active=True, ready=True, identity="agent"),
        AgentAvailabilityChanged(active=False, ready=False, identity=None),
    ]


@pytest.mark.parametrize(
    ("raw", "ready"), [("initializing", False), ("listening", True), ("speaking", True)]
)
async def test_any_state_but_initializing_says_that_it_is_ready(
    session: Session, room: ScriptedRoom, raw: str, ready: bool
) -> None:
    room.agent_joins()
    room.agent_state(raw)
    assert session.state.agent_ready is ready


async def test_another_agent_has_to_get_ready_itself(session: Session, room: ScriptedRoom) -> None:
    room.agent_joins("first")
    room.agent_says(BotReady())
    room.agent_joins("second")
    assert facts(session) == (True, True, False)


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ("initializing", "idle"),
        ("idle", "idle"),
        ("listening", "listening"),
        ("thinking", "thinking"),
        ("speaking", "speaking"),
    ],
)
async def test_the_attribute_gives_the_state_and_the_raw_value(
    session: Session, room: ScriptedRoom, raw: str, state: str
) -> None:
    room.agent_joins()
    room.agent_state(raw)
    assert (session.agent_state, session.state.raw_agent_state) == (state, raw)


async def test_an_unknown_value_is_kept_raw_and_changes_nothing_else(
    session: Session, room: ScriptedRoom
) -> None:
    room.agent_joins()
    room.agent_state("speaking")
    room.agent_state("dancing")
    assert (session.agent_state, session.state.raw_agent_state) == ("speaking", "dancing")


async def test_the_latest_of_message_and_attribute_wins(
    session: Session, room: ScriptedRoom
) -> None:
    room.agent_joins()
    with session.subscribe(AgentStateChanged) as changes:
        room.agent_state("listening")
        room.agent_says(AgentStateMessage("thinking"))
        room.agent_state("speaking")
        room.agent_says(AgentStateMessage("speaking"))
        heard = [(await anext(changes)).state for _ in range(changes.lag)]
    assert heard == ["listening", "thinking", "speaking"]
    assert session.agent_state == "speaking"


async def test_a_failed_agent_is_idle_with_an_error(session: Session, room: ScriptedRoom) -> None:
    room.agent_joins()
    room.agent_state("speaking")
    with session.subscribe(AgentStateChanged) as changes:
        room.agent_state("failed")
        changed = await anext(changes)
    assert (changed.state, changed.raw) == ("idle", "failed")
    assert session.error == "the agent failed"
    assert session.connection_state == "connected"


async def test_an_error_of_the_agent_is_kept_until_it_works_again(
    session: Session, room: ScriptedRoom
) -> None:
    room.agent_joins()
    room.agent_says(AgentError("out of words"))
    assert session.error == "out of words"
    room.agent_state("listening")
    assert session.state.error is None


async def test_nobody_but_the_agent_sets_its_state(session: Session, room: ScriptedRoom) -> None:
    room.agent_joins()
    room.packet(AgentStateMessage("speaking"), sender="somebody")
    room.packet(BotReady(), sender="somebody")
    room.packet(AgentError("boo"), sender="somebody")
    assert (session.agent_state, session.state.agent_ready, session.error) == ("idle", False, None)


# The transcript -----------------------------------------------------------------------------


def lines(session: Session) -> list[tuple[str, str, bool]]:
    return [(entry.id, entry.text, entry.final) for entry in session.transcript]


async def test_partials_grow_into_one_final_line(session: Session, room: ScriptedRoom) -> None:
    stream = room.open_stream("one")
    stream.write("Good ")
    assert lines(session) == [("one", "Good ", False)]
    stream.write("day")
    stream.close()
    assert lines(session) == [("one", "Good day", True)]


async def test_lines_stand_in_the_order_in_which_their_streams_opened(
    session: Session, room: ScriptedRoom
) -> None:
    first, second = room.open_stream("one"), room.open_stream("two", "user")
    second.write("How much?")
    first.write("Good day")
    assert [line[0] for line in lines(session)] == ["one", "two"]


async def test_a_lost_trailer_holds_up_nothing(session: Session, room: ScriptedRoom) -> None:
    room.open_stream("one").write("Good d")
    room.transcribes("two", "Three euros")
    assert lines(session) == [("one", "Good d", False), ("two", "Three euros", True)]


async def test_a_repeated_segment_replaces_its_line_in_place(
    session: Session, room: ScriptedRoom
) -> None:
    room.open_stream("one").write("Good dy")
    room.transcribes("two", "How much?", "user")
    room.transcribes("one", "Good day")
    room.transcribes("one", "Good day")
    assert lines(session) == [("one", "Good day", True), ("two", "How much?", True)]


async def test_a_late_partial_does_not_reopen_a_finished_line(
    session: Session, room: ScriptedRoom
) -> None:
    late = room.open_stream("one")
    room.transcribes("one", "Good day")
    late.write("Good")
    assert lines(session) == [("one", "Good day", True)]


async def test_every_wording_is_an_event(session: Session, room: ScriptedRoom) -> None:
    with session.subscribe(TranscriptUpdated) as updates:
        stream = room.open_stream("one")
        stream.write("Good ")
        stream.write("day")
        heard = [(await anext(updates)).entry.text for _ in range(updates.lag)]
    assert heard == ["Good ", "Good day"]


# Tracks -------------------------------------------------------------------------------------


async def test_surfaces_see_one_video_that_pauses_while_the_avatar_is_renewed(
    session: Session, room: ScriptedRoom
) -> None:
    with session.video.subscribe() as frames, session.subscribe(TrackChanged) as changes:
        room.track_starts("video", sid="TR_1", participant="avatar-1")
        first = room.push_video()
        assert await anext(frames) is first
        room.track_stops("video", participant="avatar-1")
        room.track_starts("video", sid="TR_2", participant="avatar-2")
        second = room.push_video()
        assert await anext(frames) is second
        await settle()
        heard = [await anext(changes) for _ in range(changes.lag)]
    assert [(change.available, change.sid) for change in heard] == [
        (True, "TR_1"),
        (False, None),
        (True, "TR_2"),
    ]


# Two agents in one room: all of it follows the chosen one ---------------------------------------


async def test_another_agents_messages_change_nothing_about_the_chosen_one(
    session: Session, room: ScriptedRoom
) -> None:
    room.agent_joins("host")
    room.agent_says(AgentStateMessage("speaking"))
    told: tuple[Message, ...] = (
        AgentStateMessage("thinking"),
        BotReady(),
        AgentError("it broke"),
        Click("#buy"),
        RawMessage("hello"),
    )
    with session.subscribe(DataReceived, CommandRefused) as events:
        before = session.state
        for message in told:
            room.packet(message, sender="expert")
        heard = [await anext(events) for _ in range(events.lag)]
    assert session.state == before.as_of(session.state.sequence)
    packets = [event for event in heard if isinstance(event, DataReceived)]
    assert [(packet.sender, packet.from_agent) for packet in packets] == [("expert", False)] * 5
    refused = [event for event in heard if isinstance(event, CommandRefused)]
    assert [(event.command, event.reason, event.sender) for event in refused] == [
        ("click", "sender", "expert")
    ]
    await settle()
    assert room.sent == ()  # the chosen agent does not get the result of a command of another


async def test_the_next_agent_inherits_nothing_of_the_one_before(
    session: Session, room: ScriptedRoom
) -> None:
    room.agent_joins("host", confirms=True)
    room.agent_state("speaking")
    with session.subscribe(AgentAvailabilityChanged) as changes:
        room.agent_joins("expert")
        news = [await anext(changes) for _ in range(changes.lag)]
    assert news == [
        AgentAvailabilityChanged(active=False, ready=False),
        AgentAvailabilityChanged(active=True, ready=False, identity="expert"),
    ]
    state = session.state
    assert (state.agent_ready, state.agent_confirms, state.agent_state) == (False, False, "idle")
    assert state.raw_agent_state is None
    room.agent_state("speaking")  # the same word as the last one of the agent before
    assert session.state.agent_ready
    assert session.state.agent_state == "speaking"


async def test_the_next_agent_does_not_get_the_results_of_the_commands_of_the_one_before(
    session: Session, room: ScriptedRoom
) -> None:
    taken, done = anyio.Event(), anyio.Event()

    async def page(surface: SurfaceSession) -> None:
        async for _ in surface.commands():
            taken.set()
            await done.wait()

    session.mount(page, key="page", capabilities=["submit_forms"])
    room.agent_joins("host")
    room.agent_says(SubmitForm("order", request_id="of the host"))
    await taken.wait()
    room.agent_joins("expert")
    done.set()
    room.agent_says(SubmitForm("order", request_id="of the expert"))
    packet = await room.next_sent("command_result")
    await settle()
    assert room.sent == (packet,)
    assert packet.to == ("expert",)
    assert packet.json()["requestId"] == "of the expert"


async def test_an_agent_that_comes_back_gets_its_results(
    session: Session, room: ScriptedRoom
) -> None:
    taken, done = anyio.Event(), anyio.Event()

    async def page(surface: SurfaceSession) -> None:
        async for _ in surface.commands():
            taken.set()
            await done.wait()

    session.mount(page, key="page", capabilities=["click"])
    room.agent_joins("host")
    room.agent_says(Click("#buy"))
    await taken.wait()
    room.agent_leaves()
    room.agent_joins("host")
    room.agent_says(Click("#more"))
    done.set()
    assert (await room.next_sent("command_result")).to == ("host",)
