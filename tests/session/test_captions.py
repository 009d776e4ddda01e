"""An agent's captions are lines of the transcript; its transcription of them is no second one."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livelayer_bus.events import TranscriptEntry
from livelayer_bus.messages import AgentCaption
from livelayer_bus.session import Session, echoes
from livelayer_bus.session.echoes import ECHO_SECONDS, MAX_LINES
from livelayer_bus.session.store import Store
from livelayer_bus.session.transcript import TranscriptWriter
from livelayer_bus.state import SessionState
from livelayer_bus.testing import ManualClock, ScriptedRoom, ScriptedRooms


async def joined(session: Session, rooms: ScriptedRooms) -> ScriptedRoom:
    await session.connect()
    room = await rooms.next()
    room.agent_joins()
    return room


def said(session: Session) -> list[tuple[str, str, bool]]:
    return [(line.role, line.text, line.final) for line in session.transcript]


@pytest.mark.anyio
async def test_a_caption_is_replaced_by_a_later_one_of_its_id(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.agent_says(AgentCaption("It costs", "c1", final=False))
    assert said(session) == [("agent", "It costs", False)]
    room.agent_says({"type": "agent_caption", "text": "Yes."})
    room.agent_says({"type": "agent_caption", "text": "Yes."})
    room.agent_says(AgentCaption("It costs five.", "c1"))
    room.agent_says(AgentCaption("It costs six.", "c1"))
    yes = ("agent", "Yes.", True)
    assert said(session) == [("agent", "It costs six.", True), yes, yes]


@pytest.mark.anyio
async def test_only_the_session_s_agent_has_captions(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.packet(AgentCaption("Buy now."), sender="guest")
    room.packet(AgentCaption("Buy now."), sender=None)
    assert not session.transcript


@pytest.mark.anyio
async def test_the_same_words_much_later_are_another_utterance(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    room = await joined(session, scripted_rooms)
    room.agent_says(AgentCaption("Yes."))
    room.transcribes("S1", "yes")
    assert len(said(session)) == 1
    room.transcribes("S2", "Yes.")
    assert len(said(session)) == 2
    await manual_clock.elapse(ECHO_SECONDS + 1)
    room.agent_says(AgentCaption("Yes."))
    room.transcribes("S3", "Yes.", "user")
    assert len(said(session)) == 4


@pytest.mark.anyio
async def test_what_came_second_finishes_and_corrects_what_came_first(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    stream = room.open_stream("S1")
    stream.write("It co")
    room.agent_says(AgentCaption("It costs five.", "c1"))
    assert said(session) == [("agent", "It costs five.", True)]
    stream.write("sts")
    assert said(session) == [("agent", "It costs five.", True)]
    room.agent_says(AgentCaption("It costs six.", "c1"))
    assert said(session) == [("agent", "It costs six.", True)]


@pytest.mark.anyio
async def test_a_caption_and_a_stream_of_one_id_are_one_entry(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.agent_says(AgentCaption("Good day to you", "S1", final=False))
    stream = room.open_stream("S1")
    stream.write("Good")
    assert said(session) == [("agent", "Good day to you", False)]
    stream.write(" day to you.")
    stream.close()
    assert said(session) == [("agent", "Good day to you.", True)]


@pytest.mark.parametrize(
    "sentences",
    [
        ("你好。", "我叫小明。"),
        ("はい。", "もう一度お願いします。"),
        ("مرحباً،", "كيف حالك؟"),
        ("สวัสดี", "คุณเป็นอย่างไรบ้าง"),
        ("¿Qué tal?", "¡Muy bien — gracias!"),
    ],
)
@pytest.mark.anyio
async def test_a_language_of_its_own_punctuation_or_without_spaces_shows_each_word_once(
    session: Session, scripted_rooms: ScriptedRooms, sentences: tuple[str, str]
) -> None:
    room = await joined(session, scripted_rooms)
    for sentence in sentences:
        room.agent_says(AgentCaption(sentence))
    stream = room.open_stream("S1")
    stream.write(sentences[0].rstrip("。،"))
    stream.write(sentences[1] if sentences[0].isascii() else f" {sentences[1]}")
    stream.close()
    assert [text for _, text, _ in said(session)] == list(sentences)


@pytest.mark.anyio
async def test_captions_of_what_an_interrupted_agent_did_not_say_take_no_later_words(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    captions = ["Let us go on.", "I can help you.", "I can help you.", "Great, let us go."]
    for text in captions[:2]:
        room.agent_says(AgentCaption(text))
    room.transcribes("S1", "Let")
    for text in captions[2:]:
        room.agent_says(AgentCaption(text))
    room.transcribes("S2", "I can help you. Great, let")
    assert [text for _, text, _ in said(session)] == captions
    room.transcribes("S3", "Okay.")
    room.agent_says(AgentCaption("Okay."))
    assert [text for _, text, _ in said(session)] == [*captions, "Okay."]


@pytest.mark.anyio
async def test_a_caption_without_words_is_no_line(
    session: Session, scripted_rooms: ScriptedRooms
) -> None:
    room = await joined(session, scripted_rooms)
    room.agent_says(AgentCaption("", "c1"))
    room.agent_says({"type": "agent_caption", "text": ""})
    assert not session.transcript
    room.agent_says(AgentCaption("Hi", "c1", final=False))
    room.agent_says(AgentCaption("", "c1"))
    assert said(session) == [("agent", "", True)]


@pytest.mark.anyio
async def test_an_utterance_is_compared_with_as_many_lines_as_are_kept_at_little_cost(
    session: Session, scripted_rooms: ScriptedRooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words of each text are found once, however many lines it is compared with."""
    room = await joined(session, scripted_rooms)
    for number in range(MAX_LINES):
        room.agent_says(AgentCaption(f"Line {number}."))
    counted = 0

    def words_of(text: str) -> str:
        nonlocal counted
        counted += 1
        return original(text)

    original = echoes.words_of
    monkeypatch.setattr(echoes, "words_of", words_of)
    room.transcribes("S1", "Something else.")
    assert counted < 10


# Any interleaving ----------------------------------------------------------------------------

WORDS = st.sampled_from(["yes", "yes, please", "No.", "I", "I am", "I am here.", "\U0001f44d ok"])
TEXTS = st.lists(WORDS, min_size=1, max_size=6)
PARTS = st.lists(st.integers(0, 12), max_size=24)


def wordings(texts: list[str], ends: list[int]) -> list[tuple[int, str, bool]]:
    """Each utterance as it grows, one after the other: its number, its words, whether final."""
    course: list[tuple[int, str, bool]] = []
    for number, text in enumerate(texts):
        mine = sorted(end for at, end in enumerate(ends) if at % len(texts) == number)
        course += [(number, text[:end], False) for end in mine]
        course.append((number, text, True))
    return course


@given(texts=TEXTS, captions=PARTS, streams=PARTS, order=st.lists(st.booleans(), max_size=64))
@example(texts=["yes", "yes, please"], captions=[], streams=[0, 1], order=[False, True, True])
def test_one_entry_an_utterance_in_any_order_with_partials(
    texts: list[str], captions: list[int], streams: list[int], order: list[bool]
) -> None:
    state = SessionState(id="ses", agent_id="agt")
    store = Store(state, ManualClock(), capacity=1024, max_bytes=1 << 20)
    writer = TranscriptWriter(store, 500)
    ways = {True: wordings(texts, captions), False: wordings(texts, streams)}
    while ways[True] or ways[False]:
        way = order.pop(0) if order else True
        way = way if ways[way] else not way
        number, text, final = ways[way].pop(0)
        if way:
            writer.caption(AgentCaption(text, f"c{number}", final), "agent")
        else:
            entry = TranscriptEntry(f"S{number}", "agent", text, final, number + 1, number + 1)
            writer.hear(entry, after=0, replayed=False)
        assert len(store.state.transcript) <= len(texts)
    assert [line.text for line in store.state.transcript] == texts
    assert all(line.final for line in store.state.transcript)


SIZES = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=4), min_size=1, max_size=4)


@given(
    sizes=SIZES,
    partials=st.lists(st.integers(0, 60), max_size=24),
    order=st.lists(st.booleans(), max_size=64),
    is_turn_caption=st.booleans(),
)
@example(sizes=[[1, 3]], partials=[5, 9], order=[False, True, False, True], is_turn_caption=False)
@example(sizes=[[1, 3]], partials=[9], order=[False, True, True, False], is_turn_caption=False)
@example(sizes=[[1, 1, 1]], partials=[], order=[True, False, True, True], is_turn_caption=False)
@example(sizes=[[1, 1], [1]], partials=[0, 0], order=[], is_turn_caption=False)
@example(sizes=[[2, 1]], partials=[3], order=[False, True, True, False], is_turn_caption=True)
def test_each_word_once_however_the_two_ways_divide_them(
    sizes: list[list[int]], partials: list[int], order: list[bool], is_turn_caption: bool
) -> None:
    """One way has an utterance a sentence, each at once; the other one a turn, as it grows."""
    store = Store(
        SessionState(id="ses", agent_id="agt"), ManualClock(), capacity=1024, max_bytes=1 << 20
    )
    writer = TranscriptWriter(store, 500)
    words = iter(f"word{number}" for number in range(1000))
    turns = [
        [" ".join(next(words) for _ in range(n)).capitalize() + "." for n in turn] for turn in sizes
    ]
    sentences = [(number, text, True) for number, text in enumerate(chain.from_iterable(turns))]
    whole = wordings([" ".join(turn) for turn in turns], partials)
    ways, left = {True: list(sentences), False: whole}, list(order)
    while ways[True] or ways[False]:
        way = left.pop(0) if left else True
        way = way if ways[way] else not way
        number, text, final = ways[way].pop(0)
        if way != is_turn_caption:
            writer.caption(AgentCaption(text, f"c{number}", final), "agent")
        else:
            entry = TranscriptEntry(f"S{number}", "agent", text, final, number + 1, number + 1)
            writer.hear(entry, after=0, replayed=False)
    shown = " ".join(line.text for line in store.state.transcript).split()
    assert sorted(shown) == sorted(" ".join(text for _, text, _ in sentences).split())
    assert all(line.final for line in store.state.transcript)
