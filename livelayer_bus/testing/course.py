"""The course of events that `check_surface` plays: everything a session can go through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, final

from ..bus import Subscription
from ..events import Event
from ..messages import (
    BotReady,
    Click,
    Command,
    FillForm,
    FocusField,
    Navigate,
    RequestPageContext,
    RequestRoutes,
    ScrollPage,
    ScrollTo,
    SubmitForm,
    TaskCompleted,
    TaskFieldUpdated,
    TaskResult,
)
from ..messages.capabilities import Capability
from ..session.session import Session
from ..state import SessionState
from .clock import ManualClock
from .room import ScriptedRoom
from .rooms import ScriptedRooms
from .waiting import settle

Faults: TypeAlias = Subscription[Event, SessionState]

COMMANDS: Final[dict[Capability, tuple[Command, ...]]] = {
    "navigate": (Navigate("/pricing"),),
    "scroll": (ScrollTo("#price"), ScrollPage("down")),
    "click": (Click("#buy"),),
    "fill_forms": (FillForm("order", {"name": "Ada"}), FocusField("order", "name")),
    "submit_forms": (SubmitForm("order", request_id="1"),),
    "read_page": (RequestPageContext(request_id="2"), RequestRoutes(request_id="3")),
    "collect_data": (
        TaskFieldUpdated(
            field_id="name", field_name="Name", value="Ada", kind="text", source="agent"
        ),
        TaskCompleted(
            TaskResult(
                session_id="s", started_at=0, ended_at=1, source="agent", results={"name": "Ada"}
            )
        ),
    ),
}


@final
class Stage:
    """One scripted session, and the room that it is in."""

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
        """Connect; the agent is there and active."""
        await self.session.connect()
        await self.rooms.next()
        self.room.agent_says(BotReady())


Act: TypeAlias = Callable[[Stage], Awaitable[None]]


async def _nothing(stage: Stage) -> None:
    await settle()


async def _connect(stage: Stage) -> None:
    await stage.join()


async def _agent_works(stage: Stage) -> None:
    for raw in ("initializing", "listening", "thinking", "speaking", "unheard-of", "failed"):
        stage.room.agent_state(raw)
    stage.room.agent_says({"type": "agent_state", "state": "listening"})
    stage.room.agent_says({"type": "idle_warning"})


async def _transcript(stage: Stage) -> None:
    first, second = stage.room.open_stream("one"), stage.room.open_stream("two", "user")
    second.write("How much?")
    first.write("Good ")
    first.write("day")
    second.close()
    stage.room.transcribes("two", "How much?", "user")  # replayed
    stage.room.open_stream("three").write("a trailer that is lost")
    first.close()


async def _strange_messages(stage: Stage) -> None:
    stage.room.agent_says({"type": "quiz_question", "number": 1})
    stage.room.agent_says({"type": "navigate"})
    stage.room.agent_says({"type": "navigate", "href": "javascript:alert(1)"})
    stage.room.agent_says(b"\xff\x00 no JSON")
    stage.room.packet({"type": "navigate", "href": "/"}, sender="somebody")


async def _tracks(stage: Stage) -> None:
    for _ in range(2):  # the second time: the avatar is renewed
        stage.room.track_starts("video")
        stage.room.track_starts("audio")
        for _ in range(5):
            stage.room.push_video()
            stage.room.push_audio()
            await settle(5)
        stage.room.track_stops("video")
        stage.room.track_stops("audio")


async def _agent_leaves(stage: Stage) -> None:
    stage.room.agent_leaves()
    await settle()
    stage.room.agent_joins(active=False)
    stage.room.agent_activates()


async def _reconnect(stage: Stage) -> None:
    stage.room.reconnecting()
    await settle()
    stage.room.reconnected()


async def _rejoin(stage: Stage) -> None:
    stage.room.lose("the server went away")
    await stage.clock.wait_for_sleepers()
    await stage.clock.elapse(1.0)
    await stage.rooms.next()


async def _disconnect(stage: Stage) -> None:
    await stage.session.disconnect()


async def _switch(stage: Stage) -> None:
    await stage.session.switch_agent("agt_second")


async def _fail(stage: Stage) -> None:
    stage.room.lose("the room was deleted", rejoin=False)


COURSE: Final[tuple[tuple[str, Act], ...]] = (
    ("mounted on an idle session", _nothing),
    ("connected", _connect),
    ("the agent's states", _agent_works),
    ("a transcript", _transcript),
    ("unknown and malformed messages", _strange_messages),
    ("tracks that come, go and come back", _tracks),
    ("the agent leaves and comes back", _agent_leaves),
    ("the SDK reconnects", _reconnect),
    ("the room is lost and rejoined", _rejoin),
    ("disconnected", _disconnect),
    ("connected again", _connect),
    ("turned to another agent", _switch),
    ("connected to the other agent", _connect),
    ("the room is lost for good", _fail),
)
