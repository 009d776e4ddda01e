from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from livelayer_bus.errors import ClosedError, Lagged, StaleCursorError
from livelayer_bus.events import ConnectionStateChanged, Event, TranscriptUpdated
from livelayer_bus.session import Session
from livelayer_bus.state import SessionState, reduce
from livelayer_bus.testing import ScriptedRooms, check_controlled_session, settle

pytestmark = pytest.mark.anyio
ATTACHES = 10_000


async def test_ten_thousand_attaches_under_load_see_no_gap_and_no_duplicate(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await session.connect()
    room = await scripted_rooms.next()
    gaps: list[tuple[int, int]] = []
    busy = True

    async def publish() -> None:
        number = 0
        while busy:
            number += 1
            room.agent_says({"type": "n", "number": number})
            if number % 3 == 0:
                await anyio.lowlevel.checkpoint()

    async def attach(times: int) -> None:
        for _ in range(times):
            with session.subscribe() as events:
                start = events.snapshot.sequence
                records = events.records()
                for expected in (start + 1, start + 2):
                    record = await anext(records)
                    if record.sequence != expected:
                        gaps.append((expected, record.sequence))

    async with anyio.create_task_group() as publishing:
        publishing.start_soon(publish)
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(attach, ATTACHES // 20)
        busy = False
    assert gaps == []


async def test_snapshot_and_tail_give_the_state(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await session.connect()
    room = await scripted_rooms.next()
    room.transcribes("before", "words")
    with session.subscribe() as events:
        state: SessionState = events.snapshot
        assert [entry.id for entry in state.transcript] == ["before"]
        room.agent_joins()
        room.agent_state("speaking")
        room.transcribes("after", "more words")
        await session.disconnect()
        await session.switch_agent("agt_other")
        while events.lag:
            state = reduce(state, await anext(events))
    assert state == session.state


async def test_a_cursor_on_a_wire_resumes_exactly(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await session.connect()
    room = await scripted_rooms.next()
    cursor = f"{session.id}:{session.state.sequence}"
    room.transcribes("one", "words")
    with session.subscribe(TranscriptUpdated, after=cursor) as events:
        assert (await anext(events)).entry.text == "words"


@pytest.mark.parametrize("cursor", ["another:1", "no cursor", ":", "", 10_000])
async def test_a_cursor_from_elsewhere_is_refused(session: Session, cursor: int | str) -> None:
    with pytest.raises(StaleCursorError), session.subscribe(after=cursor):
        pass


@pytest.mark.parametrize("sequence", ["9" * 5000, "9" * 18, "-1", "+1", " 1", "1_0", "\u00b2"])
async def test_a_cursor_without_a_sequence_is_refused(session: Session, sequence: str) -> None:
    with pytest.raises(StaleCursorError) as caught:
        session.subscribe(after=f"{session.id}:{sequence}").__enter__()
    assert len(str(caught.value)) < 300


async def test_a_reader_that_fell_out_resyncs_to_the_state_of_now(
    scripted_rooms: ScriptedRooms,
) -> None:
    async with Session(
        "agt", tokens=scripted_rooms.tokens, room=scripted_rooms, capacity=8
    ) as session:
        await session.connect()
        room = await scripted_rooms.next()
        with session.subscribe() as events:
            for number in range(20):
                room.transcribes(str(number), "words")
            with pytest.raises(Lagged):
                await anext(events)
            state = events.resync()
            assert state == session.state
            room.transcribes("last", "words")
            assert isinstance(await anext(events), TranscriptUpdated)


async def test_iteration_ends_when_the_session_closes(
    scripted_rooms: ScriptedRooms,
) -> None:
    heard: list[Event] = []
    session = Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms)

    async def read() -> None:
        with session.subscribe() as events:
            heard.extend([event async for event in events])

    async with anyio.create_task_group() as group, session:
        group.start_soon(read)
        await settle()
        await session.connect()
    assert any(isinstance(event, ConnectionStateChanged) for event in heard)
    with pytest.raises(ClosedError):
        session.subscribe()


async def test_a_session_keeps_the_contract_of_controlled_sessions() -> None:
    def factory() -> Session:
        rooms = ScriptedRooms(agent="agent")
        return Session("agt", tokens=rooms.tokens, room=rooms)

    await check_controlled_session(factory)
