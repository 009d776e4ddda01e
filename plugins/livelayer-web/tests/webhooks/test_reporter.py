"""What is made of a session's events, also where some were missed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from livelayer_web.webhooks import reporter as module
from livelayer_web.webhooks.reporter import EVENTS, Reporter
from msgspec.structs import replace

from livelayer_bus import (
    ConnectionStateChanged,
    DataReceived,
    EpochStarted,
    Event,
    Record,
    SessionState,
    TranscriptEntry,
    TranscriptUpdated,
)
from livelayer_bus.events import packet_payload

IDLE = SessionState(id="s1", agent_id="agt_1", sequence=1)
LIVE = replace(IDLE, connection_state="connected", sequence=5)


class Told:
    """A reporter, and what it has put."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.bodies: list[Any] = []
        self.reporter = Reporter(self._put, frozenset(EVENTS))
        self.sequence = 10

    @property
    def types(self) -> list[str]:
        return [body["type"] for body in self.bodies]

    def take(self, event: Event) -> None:
        self.sequence += 1
        self.reporter.take(Record(self.sequence, self.sequence * 1_000_000_000, event))

    def says(self, number: int, text: str, *, final: bool = True) -> None:
        self.take(TranscriptUpdated(TranscriptEntry(f"l{number}", "agent", text, final, number)))

    def _put(self, event_id: str, kind: str, when: str, body: bytes) -> None:
        self.ids.append(event_id)
        self.bodies.append(json.loads(body))
        assert (self.bodies[-1]["type"], self.bodies[-1]["timestamp"]) == (kind, when)


@pytest.fixture
def told() -> Told:
    return Told()


def test_an_end_that_was_missed_is_told_afterwards(told: Told) -> None:
    told.reporter.sync(LIVE)
    told.reporter.sync(replace(IDLE, sequence=900, error="the server is gone"))
    assert told.types == ["session.started", "transcript.completed", "session.ended"]
    assert told.bodies[-1]["data"]["reason"] == "the server is gone"
    told.reporter.sync(replace(IDLE, sequence=901))
    assert len(told.types) == 3


def test_a_line_that_was_missed_is_told_afterwards_and_once(told: Told) -> None:
    told.reporter.sync(LIVE)
    told.says(1, "One.")
    first = TranscriptEntry("l1", "agent", "One.", True, 1)
    second = TranscriptEntry("l2", "user", "Two.", True, 2)
    told.reporter.sync(replace(LIVE, transcript=(first, second), sequence=50))
    lines = [body["data"]["line"]["text"] for body in told.bodies if "line" in body["data"]]
    assert lines == ["One.", "Two."]


def test_the_same_event_has_the_same_id_in_another_process_and_no_two_share_one() -> None:
    once, again = Told(), Told()
    for one in (once, again):
        one.reporter.sync(LIVE)
        one.says(1, "One.")
        one.says(2, "Two.")
        one.take(ConnectionStateChanged("disconnected"))
    assert once.ids == again.ids
    assert len(set(once.ids)) == len(once.ids)
    assert all(name.startswith("msg_") and "." not in name for name in once.ids)


def test_a_transcript_is_in_order_and_bounded(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINES", 3)
    monkeypatch.setattr(module, "MAX_CHARACTERS", 12)
    told.reporter.sync(LIVE)
    for number in (1, 3, 2, 4):
        told.says(number, f"line {number}"[:4])
    told.says(2, "LINE")  # corrected later
    told.says(5, "too long to be kept with anything else"[:12])
    told.says(6, "half", final=False)
    told.take(ConnectionStateChanged("error", "gone"))
    data = told.bodies[-2]["data"]
    assert [one["id"] for one in data["transcript"]] == ["l5"]
    assert data["omitted"] == 4


def test_a_stranger_collects_nothing(told: Told) -> None:
    told.reporter.sync(LIVE)
    field = {
        "type": "task_field_updated",
        "fieldId": "f",
        "fieldName": "f",
        "value": 1,
        "kind": "number",
        "source": "agent",
    }
    payload, is_json = packet_payload(json.dumps(field).encode())
    told.take(DataReceived(payload, "task_field_updated", None, is_json, "p", False))
    assert told.types == ["session.started"]
    told.take(DataReceived(payload, "task_field_updated", None, is_json, "a", True))
    assert told.types[-1] == "field.collected"


def test_another_session_is_another_conversation(told: Told) -> None:
    told.reporter.sync(LIVE)
    told.reporter.sync(replace(LIVE, id="s2"))
    assert told.types == ["session.started", "session.started"]
    told.take(EpochStarted(2, "agt_2"))
    told.take(ConnectionStateChanged("connected"))
    agents = [(body["type"], body["data"]["agent_id"]) for body in told.bodies[-2:]]
    assert agents == [("session.ended", "agt_1"), ("session.started", "agt_2")]
