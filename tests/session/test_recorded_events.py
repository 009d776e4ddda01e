"""A room that replays, and a surface that records: what the session does for either."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from livelayer_bus import Session, SurfaceSession, TranscriptEntry, TranscriptUpdated
from livelayer_bus.errors import MisuseError
from livelayer_bus.events import (
    AgentAvailabilityChanged,
    AgentTimedOut,
    DataReceived,
    RecordingChanged,
    TranscriptCleared,
    packet_payload,
)
from livelayer_bus.rooms import EventReplayed
from livelayer_bus.testing import PATIENCE, ManualClock, ScriptedRoom, ScriptedRooms, settle

pytestmark = pytest.mark.anyio


class ReplayingRoom:
    """A scripted room that has the controls of a recording."""

    playback = object()

    def __init__(self) -> None:
        self.room = ScriptedRoom()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.room, name)

    def factory(self) -> Any:
        return self

    def replay(self, event: Any) -> None:
        self.room._report(EventReplayed(event))


async def test_a_room_factory_may_bring_its_token_source() -> None:
    rooms = ScriptedRooms(agent="agent")
    async with Session("agt", room=rooms) as session:
        await session.connect()
        assert len(rooms.tokens.requests) == 1
    with pytest.raises(MisuseError, match="needs a way to get a token"):
        Session("agt", room=ScriptedRoom)


async def test_a_replayed_event_is_published_as_it_is_and_leads_to_no_other() -> None:
    room = ReplayingRoom()
    payload, is_json = packet_payload(b'{"type":"agent_state","state":"speaking"}')
    course = [
        AgentAvailabilityChanged(True, True, "ada"),
        DataReceived(payload, "agent_state", None, is_json, "ada", True),
        TranscriptUpdated(TranscriptEntry("1", "agent", "Hello", True, 77, 78, "ada")),
        TranscriptCleared(),
        TranscriptUpdated(TranscriptEntry("2", "agent", "again", True, 99, 99, "ada")),
    ]
    async with Session("agt", tokens=ScriptedRooms().tokens, room=room.factory) as session:
        await session.connect()
        with session.subscribe() as events:
            for event in course:
                room.replay(event)
            assert [await anext(events) for _ in course] == course
            assert events.lag == 0
        assert session.state.agent_active
        assert session.state.raw_agent_state is None
        [entry] = session.transcript
        assert entry.text == "again"
        # A line that is typed now comes after what was replayed.
        await session.send_data({"type": "user_message", "text": "hi"})
        assert [one.text for one in session.transcript] == ["again", "hi"]
        await session.earlier_transcript(entry)


async def test_a_replay_waits_for_its_agent_without_a_limit() -> None:
    clock, room = ManualClock(), ReplayingRoom()
    async with Session(
        "agt", tokens=ScriptedRooms().tokens, room=room.factory, clock=clock, agent_timeout=5.0
    ) as session:
        await session.connect()
        with session.subscribe(AgentTimedOut) as timeouts:
            await clock.elapse(60.0)
            assert timeouts.lag == 0
            assert session.state.error is None


async def test_a_surface_says_that_it_records_and_its_end_takes_it_back() -> None:
    rooms = ScriptedRooms(agent="agent")
    began = anyio.Event()

    async def recorder(session: SurfaceSession) -> None:
        session.report_recording(active=True)
        began.set()
        await anyio.sleep_forever()

    async with Session("agt", room=rooms) as session:
        with session.subscribe(RecordingChanged) as changes, anyio.fail_after(PATIENCE):
            mounted = session.mount(recorder, key="r")
            await began.wait()
            assert await anext(changes) == RecordingChanged("r", active=True)
            assert session.state.recording == ("r",)
            await mounted.unmount()
        await settle()
        assert not session.state.recording
