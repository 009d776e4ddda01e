"""A session that goes on where another process's was left."""

from __future__ import annotations

import anyio
import pytest

from livelayer_bus.errors import ConnectError
from livelayer_bus.events import Reconnected, SurfaceUnmounted
from livelayer_bus.messages import UserMessage
from livelayer_bus.session import Session
from livelayer_bus.state import SessionState, reduce
from livelayer_bus.testing import PATIENCE, ScriptedRooms, silence

pytestmark = pytest.mark.anyio


async def left(*, connected: bool = True) -> tuple[SessionState, str | None]:
    """The state and the room of a session whose process is gone."""
    rooms = ScriptedRooms(agent="agent")
    async with Session("agt_1", tokens=rooms.tokens, room=rooms) as session:

        async def surface(_: object) -> None:
            await anyio.sleep_forever()

        session.mount(surface, key="panel")
        if connected:
            await session.connect()
            room = await rooms.next()
            room.transcribes("one", "first")
            await session.send_data(UserMessage("second"))
            async with session.microphone.acquire("panel") as lease:
                await lease.push(silence())
                return session.state, session.room_name
        return session.state, session.room_name


async def test_it_goes_on_with_id_sequence_transcript_and_room() -> None:
    state, room_name = await left()
    assert (state.surfaces, state.microphone is None, room_name) == (("panel",), False, "room-1")
    rooms = ScriptedRooms(agent="agent")
    async with Session(
        "agt_1", tokens=rooms.tokens, room=rooms, continues=state, prior_room_name=room_name
    ) as session:
        with (
            session.subscribe(Reconnected) as back,
            session.subscribe(after=state.sequence) as events,
        ):
            with anyio.fail_after(PATIENCE):
                await anext(back)
                room = await rooms.next()
            assert rooms.tokens.requests[0].prior_room_name == room_name
            room.transcribes("one", "third")  # the room's own numbers begin again
            seen = state
            while events.lag:
                seen = reduce(seen, await anext(events))
            assert seen == session.state
        assert session.id == state.id
        assert [entry.text for entry in session.transcript] == ["third", "second"]
        assert (session.state.surfaces, session.state.microphone) == ((), None)
        assert (session.connection_state, session.room_name) == ("connected", room_name)
        assert session.state.agent_active
        earlier = await session.earlier_transcript(session.transcript[-1])
        assert earlier == session.transcript[:-1]


async def test_one_that_was_not_connected_stays_so() -> None:
    state, room_name = await left(connected=False)
    rooms = ScriptedRooms(agent="agent")
    async with Session(
        "agt_1", tokens=rooms.tokens, room=rooms, continues=state, prior_room_name=room_name
    ) as session:
        with session.subscribe(SurfaceUnmounted, after=state.sequence) as gone:
            assert (await anext(gone)).key == "panel"
        assert session.connection_state == "idle"
        await session.connect()
        assert session.state.epoch == 1


async def test_a_room_that_cannot_be_joined_is_retried_as_after_a_loss() -> None:
    state, room_name = await left()
    rooms = ScriptedRooms(agent="agent")
    rooms.joining.fail(ConnectError("ws://here", "no route"), times=1)
    async with Session(
        "agt_1", tokens=rooms.tokens, room=rooms, continues=state, prior_room_name=room_name
    ) as session:
        with session.subscribe(Reconnected) as back, anyio.fail_after(PATIENCE):
            assert (await anext(back)).rejoined
        assert len(rooms.tokens.requests) == 2


async def test_a_named_session_begins_afresh() -> None:
    rooms = ScriptedRooms()
    begun = SessionState(id="front-desk", agent_id="agt_1", sequence=7)
    async with Session("agt_1", tokens=rooms.tokens, room=rooms, continues=begun) as session:
        assert (session.id, session.state.epoch, session.state.sequence) == ("front-desk", 1, 8)
