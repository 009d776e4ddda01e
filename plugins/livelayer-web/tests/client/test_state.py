"""The page's `reduce` gives what Python's does, for any course of events."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from playwright.async_api import Page

from livelayer_bus import events as e
from livelayer_bus.events import AgentConfig, Event, TranscriptEntry
from livelayer_bus.state import SessionState, reduce

pytestmark = pytest.mark.anyio

COURSES = 150
LENGTH = 60
TEXTS = ("", "a", "b", "ab", "\uffee", "\U0001f600", "\U0001f600a", "e\u0301", "\ue000\U00010000")

PLAY = """
async ([start, courses]) => {
  const { reduce } = await import("/livelayer/js/client/state.js");
  return courses.map((course) => {
    let state = start;
    return course.map((event) => (state = reduce(state, event)));
  });
}
"""


def random_event(dice: random.Random) -> Event:
    """Any event, with values that collide, repeat and are missing."""
    flag = dice.random() < 0.5
    key = dice.choice(["panel", "bubble", "third"])
    error = dice.choice([None, "it broke"])
    owner = dice.choice([None, "panel", "bubble"])
    entry = TranscriptEntry(
        id=dice.choice(["1", "2", "3", "\uffee", "\U0001f600"]),
        role=dice.choice(["agent", "user"]),
        text=dice.choice(TEXTS),
        final=flag,
        opened=dice.randrange(4),
        stream=dice.randrange(4),
        sender=dice.choice([None, "agent"]),
        delivery=dice.choice([None, "pending", "failed"]),
    )
    makers = (
        lambda: e.ConnectionStateChanged(
            dice.choice(["idle", "connecting", "connected", "disconnected", "error"]), error, flag
        ),
        lambda: e.ResumeWindowClosed(),
        lambda: e.Reconnecting("why", dice.randrange(3)),
        lambda: e.Reconnected(flag),
        lambda: e.SessionFailed("gave up", flag),
        lambda: e.EpochStarted(dice.randrange(9), "agt_2", dice.choice([None, "http://other"])),
        lambda: e.AgentAvailabilityChanged(flag, not flag, dice.choice([None, "agent"]), flag),
        lambda: e.AgentTimedOut(30.0, "no agent came"),
        lambda: e.ToolCallChanged(
            str(dice.randrange(40)),
            "tool",
            dice.choice(["started", "started", "updated", "done", "error", "cancelled"]),
            message=dice.choice([None, "half"]),
        ),
        lambda: e.ApprovalRequested(dice.randrange(9), "Go?", dice.choice([None, "Far."]), 60.0),
        lambda: e.ApprovalSettled(dice.randrange(9), dice.choice(["approved", "declined"])),
        lambda: e.AgentStateChanged(dice.choice(["idle", "listening", "speaking"]), "raw", error),
        lambda: e.AgentConfigChanged(dice.choice([None, AgentConfig("Ada", "http://a/b.png")])),
        lambda: e.TranscriptCleared(),
        lambda: e.ConversationResumed(flag),
        lambda: e.DataReceived(msgspec.Raw(b'{"type":"quiz"}'), "quiz", sender="agent"),
        lambda: e.CommandFinished("navigate", 1, key, flag),
        lambda: e.TrackChanged("video", flag),
        lambda: e.MicrophoneChanged(owner, flag),
        lambda: e.CameraChanged(owner, flag),
        lambda: e.ScreenChanged(owner, flag),
        lambda: e.RecordingChanged(key, flag, error),
        lambda: e.SurfaceMounted(key),
        lambda: e.SurfaceUnmounted(key),
        lambda: e.SurfaceFailed(key, "fault"),
    )
    if dice.random() < 0.5:
        return e.TranscriptUpdated(entry)
    return dice.choice(makers)()


def as_json(state: SessionState) -> Any:
    return json.loads(msgspec.json.encode(state))


async def test_any_course_gives_the_states_that_python_gives(modules: Page) -> None:
    dice = random.Random(1869)
    start = SessionState(id="s1", agent_id="agt", transcript_limit=4)
    courses = [[random_event(dice) for _ in range(LENGTH)] for _ in range(COURSES)]
    wire = [[json.loads(msgspec.json.encode(event)) for event in course] for course in courses]
    played = await modules.evaluate(PLAY, [as_json(start), wire])
    for course, states in zip(courses, played, strict=True):
        expected = start
        for event, state in zip(course, states, strict=True):
            expected = reduce(expected, event)
            assert state == as_json(expected), event


async def test_a_long_transcript_is_bounded_as_python_bounds_it(modules: Page) -> None:
    lines = [TranscriptEntry(str(n), "agent", "\U0001f600" * 20_000, True, n, n) for n in range(40)]
    course = [e.TranscriptUpdated(line) for line in [*lines, lines[3], lines[30]]]
    start = SessionState(id="s1", agent_id="agt", transcript_limit=30)
    wire = [[json.loads(msgspec.json.encode(event)) for event in course]]
    [states] = await modules.evaluate(PLAY, [as_json(start), wire])
    expected = start
    for event, state in zip(course, states, strict=True):
        expected = reduce(expected, event)
        assert state["transcript_omitted"] == expected.transcript_omitted
        assert [line["id"] for line in state["transcript"]] == [
            line.id for line in expected.transcript
        ]
    assert 0 < len(expected.transcript) < 30


async def test_an_unknown_event_moves_the_sequence_alone(modules: Page) -> None:
    start = as_json(SessionState(id="s1", agent_id="agt", sequence=4))
    [[state]] = await modules.evaluate(PLAY, [start, [[{"event": "toString"}]]])
    assert state == {**start, "sequence": 5}
