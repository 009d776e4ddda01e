"""The scenario that `check_surface` plays: everything a session can go through, step by step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, final

from .. import messages
from ..bus import Subscription
from ..events import Event
from ..messages import Capability
from ..session.session import Session
from ..state import SessionState
from .clock import ManualClock
from .room import ScriptedRoom, ScriptedRooms
from .waiting import settle

Faults: TypeAlias = Subscription[Event, SessionState]

COMMANDS: Final[dict[Capability, tuple[messages.Command, ...]]] = {
    "navigate": (messages.Navigate("/pricing"),),
    "scroll": (messages.ScrollTo("#price"), messages.ScrollPage("down")),
    "click": (
        messages.Click("#buy"),
        messages.AdvanceStep(),
        messages.GoBack(),
        messages.SubmitFlow(),
    ),
    "fill_forms": (
        messages.FillForm("order", {"name": "Ada"}),
        messages.FocusField("order", "name"),
    ),
    "submit_forms": (messages.SubmitForm("order", request_id="1"),),
    "read_page": (
        messages.RequestPageContext(request_id="2"),
        messages.RequestRoutes(request_id="3"),
    ),
    "collect_data": (
        messages.TaskFieldUpdated(
            field_id="name", field_name="Name", value="Ada", kind="text", source="agent"
        ),
        messages.TaskCompleted(
            messages.TaskResult(
                session_id="s", started_at=0, ended_at=1, source="agent", results={"name": "Ada"}
            )
        ),
    ),
    "ask_approval": (messages.RequestApproval("Shall I order it?", request_id="4"),),
}


@final
class Scenario:
    """One scripted session, and the rooms that it joins."""

    def __init__(
        self, session: Session, rooms: ScriptedRooms, clock: ManualClock, faults: Faults
    ) -> None:
        self.session = session
        self.rooms = rooms
        self.clock = clock
        self.faults = faults

    @property
    def room(self) -> ScriptedRoom:
        """The latest room."""
        return self.rooms.rooms[-1]

    async def join(self) -> None:
        """Connect; the agent is in the room and active."""
        await self.session.connect()
        await self.rooms.next()
        self.room.agent_says(messages.BotReady())


Step: TypeAlias = Callable[[Scenario], Awaitable[None]]


async def _agent_works(scenario: Scenario) -> None:
    for raw in ("initializing", "listening", "thinking", "speaking", "unheard-of", "failed"):
        scenario.room.agent_state(raw)
    scenario.room.agent_says({"type": "agent_state", "state": "listening"})
    scenario.room.agent_says({"type": "idle_warning"})
    call = messages.AgentToolCall(call_id="1", name="look_up", status="started")
    scenario.room.agent_says(call)


async def _transcript(scenario: Scenario) -> None:
    first, second = scenario.room.open_stream("one"), scenario.room.open_stream("two", "user")
    second.write("How much?")
    first.write("Good ")
    first.write("day")
    second.close()
    scenario.room.transcribes("two", "How much?", "user")  # replayed
    scenario.room.open_stream("three").write("a trailer that is lost")
    first.close()
    scenario.room.agent_says(messages.AgentCaption("Good day", id="one"))  # in the other dialect
    scenario.room.agent_says(messages.AgentCaption("Anything", id="four", final=False))
    scenario.room.agent_says(messages.AgentCaption("Anything else?", id="four"))
    scenario.room.agent_says(messages.AgentCaption("Good-bye"))


async def _strange_messages(scenario: Scenario) -> None:
    scenario.room.agent_says({"type": "quiz_question", "number": 1})
    scenario.room.agent_says({"type": "navigate"})
    scenario.room.agent_says({"type": "navigate", "href": "javascript:alert(1)"})
    scenario.room.agent_says(b"\xff\x00 no JSON")
    scenario.room.packet({"type": "navigate", "href": "/"}, sender="person")


async def _tracks(scenario: Scenario) -> None:
    for _ in range(2):  # the second time: the avatar is renewed
        scenario.room.track_starts("video")
        scenario.room.track_starts("audio")
        for _ in range(5):
            scenario.room.push_video()
            scenario.room.push_audio()
            await settle(5)
        scenario.room.track_stops("video")
        scenario.room.track_stops("audio")


async def _agent_leaves(scenario: Scenario) -> None:
    scenario.room.agent_leaves()
    await settle()
    scenario.room.agent_joins(active=False)
    scenario.room.agent_activates()


async def _reconnect(scenario: Scenario) -> None:
    scenario.room.reconnecting()
    await settle()
    scenario.room.reconnected()


async def _rejoin(scenario: Scenario) -> None:
    scenario.room.lose("the server went away")
    await scenario.clock.wait_for_sleepers()
    await scenario.clock.elapse(1.0)
    await scenario.rooms.next()


async def _fail(scenario: Scenario) -> None:
    scenario.room.lose("the room was deleted", rejoin=False)


STEPS: Final[tuple[tuple[str, Step], ...]] = (
    ("mounted on an idle session", lambda _: settle()),
    ("connected", Scenario.join),
    ("the agent's states", _agent_works),
    ("a transcript", _transcript),
    ("unknown and malformed messages", _strange_messages),
    ("tracks that come, go and come back", _tracks),
    ("the agent leaves and comes back", _agent_leaves),
    ("the SDK reconnects", _reconnect),
    ("the room is lost and rejoined", _rejoin),
    ("disconnected", lambda scenario: scenario.session.disconnect()),
    ("connected again", Scenario.join),
    ("switched to another agent", lambda scenario: scenario.session.switch_agent("agt_second")),
    ("connected to the other agent", Scenario.join),
    ("the room is lost for good", _fail),
)
