"""Who the agent is, when it can receive, and what it says about itself."""

from __future__ import annotations

import pytest

from livelayer_bus.rooms import LiveKitRoom
from livelayer_bus.testing import polled
from tests.rooms.kit import Joined, RecordingSink, Stage, new_writers

pytestmark = pytest.mark.anyio


async def test_an_agent_that_is_there_already_is_reported_by_the_time_connect_returns(
    stage: Stage, sink: RecordingSink
) -> None:
    await stage.agent(state="thinking")
    room = LiveKitRoom()
    await room.connect(stage.access(), sink, new_writers()[2])
    await sink.saw("agent", "agent", True)
    await sink.saw("agent_state", "thinking")
    await room.aclose()


async def test_an_agent_that_comes_changes_its_state_and_leaves_is_followed(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent(state="initializing")
    await sink.saw("agent", "agent", True)
    await sink.saw("agent_state", "initializing")
    await agent.local_participant.set_attributes({"lk.agent.state": "speaking"})
    await sink.saw("agent_state", "speaking")
    await agent.local_participant.set_attributes({"other": "thing"})
    await agent.disconnect()
    await sink.saw("agent", None, False)
    assert sink.named("agent_state") == [("initializing",), ("speaking",)]


async def test_the_first_agent_stays_the_agent_until_it_leaves(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    first = await stage.agent("first")
    await sink.saw("agent", "first", True)
    second = await stage.agent("second", state="idle")
    native = joined.room.native
    assert native is not None
    await polled(lambda: "second" in native.remote_participants)
    await second.local_participant.publish_data(b"hello")
    await sink.saw("packet", b"hello", "second", None, False)
    assert ("agent", "second", True) not in sink.calls
    await first.disconnect()
    await sink.saw("agent", "second", True)
    await sink.saw("agent_state", "idle")
    assert ("agent", None, False) not in sink.calls


async def test_neither_a_user_nor_an_avatar_worker_is_taken_for_the_agent(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    await stage.join("somebody", attributes={"lk.agent.state": "speaking"})
    await stage.agent("worker", **{"lk.publish_on_behalf": "agent"})
    await stage.agent("agent")
    await sink.saw("agent", "agent", True)
    assert {call[0] for call in sink.named("agent")} == {"agent"}
    assert sink.named("agent_state") == [("listening",)]
