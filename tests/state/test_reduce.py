"""`reduce` is pure and total, and each event is one step of the sequence."""

from __future__ import annotations

import copy
from functools import reduce as fold
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livelayer_bus import events as e
from livelayer_bus.state import LeaseState, SessionState, reduce
from tests.support import EXAMPLES

EVENTS: tuple[Any, ...] = get_args(e.AnyEvent)
ANY_EVENT = st.sampled_from(EVENTS).flatmap(lambda cls: st.from_type(cls))
NEW = SessionState(id="ses", agent_id="agt")
SAID = e.TranscriptEntry(id="1", role="agent", text="Hello", final=True, opened=1, stream=1)
IN_A_CALL = fold(
    reduce,
    [
        e.SurfaceMounted("panel"),
        e.ConnectionStateChanged("connected"),
        e.AgentAvailabilityChanged(active=True, ready=True, identity="agent-1"),
        e.AgentStateChanged("speaking", "speaking"),
        e.TranscriptUpdated(SAID),
        e.MicrophoneChanged("panel", muted=True),
    ],
    NEW,
)


@pytest.mark.parametrize("cls", EVENTS)
@given(data=st.data())
@settings(max_examples=10 * EXAMPLES, deadline=None)
def test_every_event_is_one_step_and_changes_no_older_state(
    cls: type[e.Event], data: st.DataObject
) -> None:
    state = fold(reduce, data.draw(st.lists(ANY_EVENT, max_size=4)), NEW)
    event = data.draw(st.from_type(cls))
    before = copy.deepcopy(state)
    after = reduce(state, event)
    assert state == before
    assert after == reduce(before, event)
    assert after.sequence == state.sequence + 1
    assert after.id == state.id
    assert msgspec.json.decode(msgspec.json.encode(after), type=SessionState) == after


@given(st.lists(ANY_EVENT, max_size=20))
@settings(max_examples=60 * EXAMPLES, deadline=None)
def test_a_snapshot_and_the_rest_are_the_whole(course: list[e.Event]) -> None:
    whole = fold(reduce, course, NEW)
    assert whole.sequence == len(course)
    for cut in range(len(course) + 1):
        assert fold(reduce, course[cut:], fold(reduce, course[:cut], NEW)) == whole


def test_an_event_of_an_application_is_only_a_step() -> None:
    class Invented(e.Event, frozen=True):
        pass

    assert reduce(IN_A_CALL, Invented()) == msgspec.structs.replace(
        IN_A_CALL, sequence=IN_A_CALL.sequence + 1
    )


def test_a_call_is_what_its_events_made_it() -> None:
    assert IN_A_CALL.joined
    assert IN_A_CALL.agent_active
    assert IN_A_CALL.agent_ready
    assert IN_A_CALL.agent_identity == "agent-1"
    assert IN_A_CALL.agent_state == "speaking"
    assert IN_A_CALL.transcript == (SAID,)
    assert IN_A_CALL.microphone == LeaseState("panel", muted=True)
    assert IN_A_CALL.surfaces == ("panel",)


@pytest.mark.parametrize("state", ["idle", "connecting", "disconnected", "error"])
def test_outside_of_the_room_there_is_no_agent(state: e.ConnectionState) -> None:
    after = reduce(IN_A_CALL, e.ConnectionStateChanged(state, error="lost", can_resume=True))
    assert after.connection_state == state
    assert not any((after.joined, after.agent_active, after.agent_ready))
    assert after.agent_identity is None
    assert (after.agent_state, after.raw_agent_state) == ("idle", None)
    assert (after.error, after.can_resume) == ("lost", True)
    assert after.transcript == (SAID,)
    assert not reduce(after, e.ResumeWindowClosed()).can_resume


def test_a_resume_by_the_sdk_keeps_our_place_and_a_rejoin_loses_it() -> None:
    resumed = reduce(IN_A_CALL, e.Reconnecting("the socket closed"))
    assert resumed.reconnecting
    assert resumed.joined
    assert resumed.agent_active
    rejoining = reduce(resumed, e.Reconnecting("no answer", attempt=1))
    assert rejoining.connection_state == "connected"
    assert rejoining.reconnecting
    assert not any((rejoining.joined, rejoining.agent_active, rejoining.agent_ready))
    back = reduce(rejoining, e.Reconnected(rejoined=True))
    assert back.joined
    assert not back.reconnecting


def test_only_surfaces_and_their_microphone_cross_to_the_next_agent() -> None:
    after = reduce(
        IN_A_CALL, e.EpochStarted(epoch=2, agent_id="other", base_url="https://x.example")
    )
    assert after == SessionState(
        id="ses",
        agent_id="other",
        base_url="https://x.example",
        epoch=2,
        sequence=IN_A_CALL.sequence + 1,
        surfaces=("panel",),
        microphone=LeaseState("panel", muted=True),
    )


def test_the_microphone_and_the_surfaces_come_and_go() -> None:
    freed = reduce(IN_A_CALL, e.MicrophoneChanged(None))
    assert freed.microphone is None
    two = reduce(freed, e.SurfaceMounted("bubble"))
    assert two.surfaces == ("panel", "bubble")
    assert reduce(two, e.SurfaceUnmounted("panel")).surfaces == ("bubble",)
    recorded = reduce(two, e.RecordingChanged("panel", active=True))
    assert recorded.recording == ("panel",)
    assert reduce(recorded, e.RecordingChanged("panel", active=True)).recording == ("panel",)
    assert reduce(recorded, e.EpochStarted(2, "other")).recording == ("panel",)
    assert reduce(recorded, e.RecordingChanged("panel", active=False)).recording == ()
    assert reduce(recorded, e.SurfaceUnmounted("panel")).recording == ()
    assert reduce(two, e.SurfaceUnmounted("never there")).surfaces == two.surfaces
