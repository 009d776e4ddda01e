"""The console's picture, as a function of what is known, at every size of terminal."""

from __future__ import annotations

import io

import msgspec
import pytest
from livelayer_terminal.plain import plain_line
from livelayer_terminal.view import (
    QUESTION_ROWS,
    TIMES,
    AudioFacts,
    ConsoleScreen,
    ConsoleView,
    MessageFacts,
    VideoFacts,
    clean,
    decibels,
)
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from livelayer_bus import SessionState, TranscriptEntry
from livelayer_bus.events import ApprovalRequested, RecordingChanged, ToolCallChanged

STATE = SessionState(
    id="0123456789abcdef",
    agent_id="agt_1",
    connection_state="connected",
    joined=True,
    agent_active=True,
    agent_ready=True,
    agent_identity="Lumi",
    agent_state="speaking",
    sequence=12,
    surfaces=("console", "jsonl"),
    transcript=(
        TranscriptEntry("1", "agent", "Hello there.", True, 1),
        TranscriptEntry("2", "user", "What is a surface?", True, 2),
        TranscriptEntry("3", "agent", "A surface is anything that shows", False, 3),
        TranscriptEntry("4", "user", "and a recorder?", True, 3, delivery="sent"),
    ),
)
VIEW = ConsoleView(
    state=STATE,
    elapsed=75,
    video=VideoFacts(True, 640, 360, 29.97, 2),
    audio=AudioFacts(True, 0.1, (0.0, 0.5, 1.0)),
    messages=(MessageFacts("in", "navigate", '{"href":"/pricing"}'),),
    prompt="tell me m",
)


def picture(view: ConsoleView, width: int = 80, height: int = 24, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    console = Console(width=width, height=height, file=file, highlight=False, markup=False)
    console.print(ConsoleScreen(view))
    return raw.getvalue().decode(encoding)


def test_everything_that_matters_is_there() -> None:
    shown = picture(VIEW)
    for words in (
        "agt_1",
        "connected",
        "Lumi speaking",
        "2 surfaces",
        "Hello there.",
        "What is a surface?",
        "A surface is anything that shows…",
        "and a recorder?",
        "navigate",
        "/pricing",
        "-20 dB",
        f"640{TIMES}360  30.0 fps  2 left out",
        "tell me m▌",
        "event 12 · 01:15",
    ):
        assert words in shown


def test_a_session_that_is_recorded_says_so() -> None:
    assert "recording" not in picture(VIEW)
    recorded = replace(VIEW, state=replace(STATE, recording=("recorder",)))
    assert "● recording" in picture(recorded)
    said = plain_line(RecordingChanged("recorder", active=True))
    assert said == "record   recorder records the session"
    said = plain_line(RecordingChanged("recorder", active=False, error="no space"))
    assert said == "record   recorder: no space"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("height", [3, 8, 12, 24, 100])
@pytest.mark.parametrize("width", [20, 30, 48, 80, 200])
def test_it_fits_into_the_terminal(width: int, height: int, encoding: str) -> None:
    lines = picture(VIEW, width, height, encoding).splitlines()
    assert len(lines) <= max(height, 8)
    assert all(cell_len(line) <= width for line in lines)


@pytest.mark.parametrize("text", ["こんにちは世界" * 30, "x" * 500, "a b " * 200, "👩‍🚀 " * 50, ""])
def test_no_text_breaks_the_frame(text: str) -> None:
    entry = TranscriptEntry("1", "agent", text, True, 1)
    state = SessionState(id="i", agent_id=text, transcript=(entry,), error=text or None)
    view = ConsoleView(state=state, notice=text, prompt=text, messages=(MessageFacts("in", text),))
    lines = picture(view, 40, 16).splitlines()
    assert len({cell_len(line) for line in lines}) == 1
    assert len(lines) == 15


@pytest.mark.parametrize("text", ["こんにちは世界" * 30, "x" * 500, "👩‍🚀 " * 50, "é" * 90, "短い"])
@pytest.mark.parametrize("width", [20, 40, 81])
def test_the_caret_and_the_end_of_what_is_typed_stay_in_sight(text: str, width: int) -> None:
    shown = picture(ConsoleView(state=STATE, prompt=text + "end"), width, 16)
    assert "end▌" in shown


def test_the_newest_words_stay_when_there_is_no_room() -> None:
    shown = picture(VIEW, 40, 9)
    assert "and a recorder?" in shown
    assert "Hello there." not in shown


def test_text_from_elsewhere_cannot_control_the_terminal() -> None:
    evil = "\x1b[2J\x1b]0;owned\x07\r\nnext\u202egnp\x9b31m"
    state = SessionState(
        id="i",
        agent_id=evil,
        agent_identity=evil,
        agent_active=True,
        transcript=(TranscriptEntry("1", "agent", evil, True, 1),),
        error=evil,
    )
    message = MessageFacts("in", evil, evil)
    shown = picture(ConsoleView(state=state, messages=(message,), notice=evil, prompt=evil))
    assert not any(sign in shown for sign in ("\x1b", "\x07", "\r", "\u202e", "\x9b"))
    assert clean(evil) == "[2J ]0;owned next gnp 31m"


def test_a_typed_line_shows_whether_it_was_sent() -> None:
    lines = (
        TranscriptEntry("1", "user", "on its way", True, 1, delivery="pending"),
        TranscriptEntry("2", "user", "gone", True, 2, delivery="sent"),
        TranscriptEntry("3", "user", "lost", True, 3, delivery="failed"),
    )
    shown = picture(ConsoleView(state=SessionState(id="i", agent_id="a", transcript=lines)))
    assert "on its way…" in shown
    assert "gone " in shown
    assert "lost (not sent)" in shown


def test_a_conversation_that_starts_afresh_says_so() -> None:
    shown = picture(ConsoleView(state=SessionState(id="i", agent_id="a", continued=False)))
    assert "this is a new conversation" in shown


def test_what_the_agent_does_and_asks_is_there_and_stays_small() -> None:
    tools = ("look_up", "send \x1b[31mmail")
    calls = tuple(ToolCallChanged(str(n), name, "started") for n, name in enumerate(tools))
    question = ApprovalRequested(1, "May I? " * 100, None, 60.0)
    state = msgspec.structs.replace(STATE, tools=calls, agent_confirms=True)
    view = msgspec.structs.replace(VIEW, state=state, question=question, prompt="")
    shown = picture(view)
    assert "tools  look up, send  [31mmail" in shown
    assert "y approves, n refuses" in shown
    assert len([line for line in shown.splitlines() if "May I?" in line]) == QUESTION_ROWS
    assert "What is a surface?" in shown
    unasked = msgspec.structs.replace(view, question=None)
    assert "Enter interrupts" in picture(unasked)


def test_a_session_that_has_nothing_yet_says_so() -> None:
    shown = picture(ConsoleView(state=SessionState(id="i", agent_id="agt_1")))
    assert "idle" in shown
    assert "no agent" in shown
    assert "nothing has been said yet" in shown
    assert "type to the agent" not in shown


@pytest.mark.parametrize(
    ("level", "expected"), [(0.0, -50.0), (1.0, 0.0), (0.1, -20.0), (1e-9, -50)]
)
def test_levels_are_decibels_below_full_scale(level: float, expected: float) -> None:
    assert decibels(level) == pytest.approx(expected)
