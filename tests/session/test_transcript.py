"""The transcript as a session writes it: a window, typed lines, echoes, and what comes back."""

from __future__ import annotations

import anyio
import pytest

from livelayer_bus.errors import MisuseError, NotConnectedError, SendTimeoutError
from livelayer_bus.events import ConversationResumed, TranscriptEntry, TranscriptUpdated
from livelayer_bus.messages import BotReady, UserMessage
from livelayer_bus.session import Session
from livelayer_bus.session import transcript as module
from livelayer_bus.session.echoes import ECHO_SECONDS
from livelayer_bus.state import SessionState, reduce
from livelayer_bus.testing import ManualClock, ScriptedRoom, ScriptedRooms, settle
from livelayer_bus.tokens import RoomAccess, TokenRequest

from .conftest import MakeSession

pytestmark = pytest.mark.anyio


async def joined(session: Session, rooms: ScriptedRooms) -> ScriptedRoom:
    """A room with an agent that speaks LiveLayer's messages."""
    await session.connect()
    room = await rooms.next()
    room.agent_joins()
    room.agent_says(BotReady())
    return room


def lines(session: Session) -> list[tuple[str, str, str | None]]:
    return [(line.role, line.text, line.delivery) for line in session.transcript]


def continued(session: Session) -> bool | None:
    return session.state.continued


# The window ----------------------------------------------------------------------------------


async def test_the_state_has_the_newest_utterances_and_the_session_gives_earlier_ones(
    make_session: MakeSession, scripted_rooms: ScriptedRooms
) -> None:
    async with make_session(transcript_limit=3) as session:
        room = await joined(session, scripted_rooms)
        for number in range(10):
            room.transcribes(f"S{number}", f"line {number}")
        state = session.state
        assert [line.text for line in state.transcript] == ["line 7", "line 8", "line 9"]
        assert (state.transcript_omitted, state.transcript_limit) == (7, 3)
        first = state.transcript[0]
        earlier = await session.earlier_transcript(first, limit=4)
        assert [line.text for line in earlier] == ["line 3", "line 4", "line 5", "line 6"]
        earlier = await session.earlier_transcript(earlier[0], limit=100)
        assert [line.text for line in earlier] == ["line 0", "line 1", "line 2"]
        assert await session.earlier_transcript(earlier[0]) == ()
        await session.disconnect()
        assert (session.transcript, session.state.transcript_omitted) == ((), 0)
        assert await session.earlier_transcript(first) == ()


async def test_snapshot_and_tail_of_a_window_give_the_state(
    make_session: MakeSession, scripted_rooms: ScriptedRooms
) -> None:
    async with make_session(transcript_limit=4) as session:
        room = await joined(session, scripted_rooms)
        old = room.open_stream("old")
        for number in range(6):
            room.transcribes(f"S{number}", "words")
        with session.subscribe() as events:
            state: SessionState = events.snapshot
            old.write("opened long ago")
            late = room.open_stream("late", "user")
            for number in range(6, 8):
                room.transcribes(f"S{number}", "words")
            late.write("and finished")
            late.close()
            await session.send_text("typed")
            room.transcribes("S7", "words, once more")
            while events.lag:
                state = reduce(state, await anext(events))
        assert state == session.state
        assert state.transcript_omitted > 0


async def test_what_can_be_read_again_is_bounded(
    make_session: MakeSession, scripted_rooms: ScriptedRooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_LINES", 5)
    monkeypatch.setattr(module, "KEPT_CHARS", 20)
    async with make_session(transcript_limit=1) as session:
        room = await joined(session, scripted_rooms)
        for number in range(10):
            room.transcribes(f"S{number}", "abc")
        earlier = await session.earlier_transcript(session.transcript[0])
        assert [line.id for line in earlier] == ["S5", "S6", "S7", "S8"]
        room.transcribes("long", "x" * 100)
        assert await session.earlier_transcript(session.transcript[0]) == ()


async def test_a_limit_below_one_is_misuse() -> None:
    with pytest.raises(MisuseError, match="transcript_limit"):
        Session("agt", base_url="https://a.example", transcript_limit=0)


# Typed lines ---------------------------------------------------------------------------------


@pytest.mark.parametrize("livelayer", [True, False])
async def test_a_typed_line_is_an_entry_from_the_moment_it_is_sent(
    session: Session, scripted_rooms: ScriptedRooms, livelayer: bool
) -> None:
    await session.connect()
    room = await scripted_rooms.next()
    room.agent_joins()
    if livelayer:
        room.agent_says(BotReady())
    room.transcribes("hello", "Good day")
    with session.subscribe(TranscriptUpdated) as updates:
        async with anyio.create_task_group() as group:
            room.sending.hold()
            group.start_soon(session.send_text, "How much?")
            update = await anext(updates)
            assert (update.entry.role, update.entry.delivery) == ("user", "pending")
            assert lines(session)[1:] == [("user", "How much?", "pending")]
            room.sending.open()
        assert (await anext(updates)).entry.delivery == "sent"
    room.transcribes("answer", "Five")
    assert lines(session) == [
        ("agent", "Good day", None),
        ("user", "How much?", "sent"),
        ("agent", "Five", None),
    ]


async def test_a_user_message_is_a_typed_line_however_it_is_sent(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    await joined(session, scripted_rooms)
    await session.send_data(UserMessage("one", "id-1"))
    await session.send_data({"type": "user_message", "text": "two"})
    await session.send_data({"type": "something else", "text": "three"})
    assert lines(session) == [("user", "one", "sent"), ("user", "two", "sent")]
    assert session.transcript[0].id == "id-1"


async def test_a_line_that_failed_is_shown_as_failed_and_sent_again_in_its_place(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.agent_leaves()
    with pytest.raises(SendTimeoutError):
        await session.send_text("Hello?", timeout=0, line_id="line")
    assert lines(session) == [("user", "Hello?", "failed")]
    room.agent_joins()
    room.agent_says(BotReady())
    await session.send_text("Hello?", line_id="line")
    assert lines(session) == [("user", "Hello?", "sent")]
    # The id of a line that was sent names that line for good.
    await session.send_text("Forged", line_id="line")
    assert lines(session) == [("user", "Hello?", "sent"), ("user", "Forged", "sent")]


async def test_a_line_that_cannot_be_sent_anywhere_is_an_error_and_not_an_entry(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    with pytest.raises(NotConnectedError):
        await session.send_text("hello")
    room = await joined(session, scripted_rooms)
    room.agent_leaves()
    async with anyio.create_task_group() as group:

        async def send() -> None:
            with pytest.raises(NotConnectedError):
                await session.send_text("hello", timeout=60)

        group.start_soon(send)
        await settle()
        await session.disconnect()
    assert session.transcript == ()


# Echoes --------------------------------------------------------------------------------------


async def test_an_echo_of_a_typed_line_is_not_a_second_one(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    await session.send_text("How much  is it?")
    echo = room.open_stream("SG_1", "user", sender="agent")
    for part in ("How ", "much ", "IS it?"):
        echo.write(part)
    echo.close()
    assert lines(session) == [("user", "How much  is it?", "sent")]
    room.transcribes("SG_2", "How much is it?", "user")  # said aloud, after that
    assert len(session.transcript) == 2


async def test_two_typed_lines_have_an_echo_each_and_speech_is_not_one(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    await session.send_text("yes")
    await session.send_text("yes please")
    room.transcribes("1", "yes", "user")
    room.transcribes("2", "yes please", "user")
    assert [text for _, text, _ in lines(session)] == ["yes", "yes please"]
    await session.send_text("no")
    spoken = room.open_stream("3", "user")
    spoken.write("no")
    assert len(lines(session)) == 3
    spoken.write(", never")  # it only began like the typed line
    spoken.close()
    assert [text for _, text, _ in lines(session)][3:] == ["no, never"]
    room.transcribes("4", "no", "agent")
    assert len(lines(session)) == 5
    await session.send_text("later")
    await manual_clock.elapse(ECHO_SECONDS + 1)
    room.transcribes("5", "later", "user")
    assert [text for _, text, _ in lines(session)][5:] == ["later", "later"]


async def test_the_agents_replay_under_the_lines_id_is_the_same_line(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    await session.send_text("hello", line_id="item-1")
    await manual_clock.elapse(ECHO_SECONDS + 1)
    room.transcribes("item-1", "hello", "user", replayed=True)
    assert [line.text for line in session.transcript] == ["hello"]


# Other participants --------------------------------------------------------------------------


async def test_another_participant_cannot_replace_the_agents_line(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    agents = room.open_stream("S1")
    agents.write("It costs five.")
    room.transcribes("S1", "It costs nothing at all.", "user", sender="guest")
    agents.close()
    assert [(line.sender, line.text) for line in session.transcript] == [
        ("agent", "It costs five."),
        ("guest", "It costs nothing at all."),
    ]


# Coming back ---------------------------------------------------------------------------------


async def test_continue_brings_the_tail_back_where_the_same_agent_goes_on(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    for number in range(30):
        room.transcribes(f"S{number}", f"line {number}")
    await session.send_text("a question")
    before = session.transcript
    await session.disconnect()
    assert session.transcript == ()
    with session.subscribe(ConversationResumed, TranscriptUpdated) as events:
        await session.connect()
        room = await scripted_rooms.next()
        assert continued(session) is None
        room.agent_joins()
        assert await anext(events) == ConversationResumed(True)
    assert session.transcript == before[-20:]
    assert continued(session) is True
    room.transcribes("new", "go on")
    assert lines(session)[-1] == ("agent", "go on", None)


async def test_the_agents_own_replay_takes_the_place_of_what_was_brought_back(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.transcribes("SG_1", "Good day")
    await session.disconnect()
    await session.connect()
    room = await scripted_rooms.next()
    room.agent_joins()
    assert [line.id for line in session.transcript] == ["SG_1"]
    room.transcribes("item-1", "Good day", replayed=True)
    room.transcribes("item-2", "Are you there?", replayed=True)
    assert [line.id for line in session.transcript] == ["item-1", "item-2"]


async def test_a_replay_that_comes_after_a_new_line_repeats_nothing(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.transcribes("SG_1", "Good day")
    await session.send_text("a question")
    await session.disconnect()
    await session.connect()
    room = await scripted_rooms.next()
    room.agent_joins()
    await session.send_text("another one")
    before = session.transcript
    room.transcribes("item-1", "Good day", replayed=True)
    room.transcribes("item-2", "a question", "user", replayed=True)
    assert session.transcript == before
    room.transcribes("item-3", "Said meanwhile", replayed=True)
    assert session.transcript[-1].text == "Said meanwhile"


@pytest.mark.parametrize("case", ["another agent", "another room"])
async def test_continue_says_that_the_conversation_starts_afresh(
    make_session: MakeSession, scripted_rooms: ScriptedRooms, case: str
) -> None:
    async def new_room(request: TokenRequest) -> RoomAccess:
        return await scripted_rooms.tokens(TokenRequest(request.agent_id))

    tokens = new_room if case == "another room" else scripted_rooms.tokens
    async with make_session(tokens=tokens) as session:
        room = await joined(session, scripted_rooms)
        room.transcribes("1", "Good day")
        await session.disconnect()
        await session.connect()
        room = await scripted_rooms.next()
        room.agent_joins("agent-2" if case == "another agent" else "agent")
        assert session.transcript == ()
        assert continued(session) is False
        await session.disconnect()
        assert continued(session) is None


async def test_another_agents_conversation_does_not_come_back(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.transcribes("1", "Good day")
    await session.disconnect()
    await session.switch_agent("agt_other")
    await session.connect()
    room = await scripted_rooms.next()
    room.agent_joins()
    assert session.transcript == ()
    assert continued(session) is None


async def test_typed_and_spoken_lines_keep_their_order_over_rooms(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    silent = room.open_stream("b")
    room.transcribes("a", "one")
    await session.send_text("two")
    silent.write("before both")
    room.transcribes("c", "three")
    await session.send_text("four")
    await session.send_text("five")
    room.transcribes("d", "six")
    assert [line.text for line in session.transcript] == [
        "before both", "one", "two", "three", "four", "five", "six",
    ]  # fmt: skip
    entries: list[TranscriptEntry] = list(session.transcript)
    assert [entry.opened for entry in entries] == sorted(entry.opened for entry in entries)
