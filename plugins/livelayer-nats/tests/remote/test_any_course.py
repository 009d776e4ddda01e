"""Any course of events: a remote's state is the owner's at every sequence."""

from __future__ import annotations

import random
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livelayer_nats import NatsBridge, RemoteSession, UnknownEvent
from livelayer_nats.wire import (
    VERSION,
    Batch,
    decode_events,
    decode_state,
    encode_events,
    encode_state,
    join,
    split,
)

from livelayer_bus.errors import MalformedMessageError
from livelayer_bus.events import Event
from livelayer_bus.messages import Navigate
from livelayer_bus.state import SessionState, reduce
from livelayer_bus.testing import PATIENCE, ScriptedRoom, polled
from tests.support import EXAMPLES

from .nats_kit import NatsServer, joined, owned

pytestmark = pytest.mark.anyio
STEPS = 150


def does_something(room: ScriptedRoom, chance: random.Random) -> None:
    number = chance.randrange(5)
    acts: list[Callable[[], object]] = [
        lambda: room.agent_joins("agent"),
        room.agent_leaves,
        room.reconnecting,
        room.reconnected,
        lambda: room.agent_state(chance.choice(["listening", "failed", "dancing"])),
        lambda: room.transcribes(f"line-{number}", f"words {number} \u2028 \x00"),
        lambda: room.open_stream(f"line-{number}", "user").write("wo"),
        lambda: room.agent_says(Navigate("/")),
        lambda: room.agent_says(b"\xff nonsense"),
        lambda: room.agent_says(b'{"type":\n"spaced"}'),
        lambda: room.track_starts("video"),
        lambda: room.track_stops("video"),
    ]
    chance.choice(acts)()


@pytest.mark.parametrize("seed", range(4))
async def test_the_states_are_equal_at_every_sequence(server: NatsServer, seed: int) -> None:
    chance = random.Random(seed)
    bridge = NatsBridge(server.url, snapshot_every=chance.choice([1, 7, 1000]))
    async with owned(server, bridge, capabilities=["navigate"]) as (session, rooms):
        room = await joined(session, rooms)
        with session.subscribe() as owners:
            async with RemoteSession(server.url, session.id, connect_timeout=PATIENCE) as remote:
                with remote.subscribe() as events:
                    for step in range(STEPS):
                        does_something(room, chance)
                        if step == STEPS // 2:
                            await session.switch_agent("agt_2")
                            room = await rooms.next()
                        if chance.random() < 0.1:
                            await anyio.lowlevel.checkpoint()
                    await polled(lambda: remote.state == session.state)
                    states: dict[int, SessionState] = {}
                    state = owners.snapshot
                    while owners.lag:
                        state = reduce(state, await anext(owners))
                        states[state.sequence] = state
                    state = events.snapshot
                    while events.lag:
                        state = reduce(state, await anext(events))
                        assert state == states[state.sequence]
                    assert state == remote.state
            async with RemoteSession(server.url, session.id, connect_timeout=PATIENCE) as late:
                await polled(lambda: late.state == session.state)


class OwnEvent(Event, frozen=True):
    """An event of an application, which no other process knows."""

    value: int


async def test_an_unknown_event_keeps_its_place(server: NatsServer) -> None:
    body, zipped = encode_events([(5, OwnEvent(3))])
    [(time_ns, event)] = decode_events(Batch(VERSION, "s", 1, "o", 0, 1, zipped), body)
    assert time_ns == 5
    assert isinstance(event, UnknownEvent)
    assert b'"value":3' in bytes(event.payload)


@settings(max_examples=200 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    for made in (data, join(Batch(VERSION, "s", 1, "o", 0, 1), data)):
        try:
            head, body = split(made, "s")
            assert isinstance(head, Batch)
            decode_events(head, body)
        except MalformedMessageError:
            continue
    with pytest.raises(MalformedMessageError):
        decode_state(data)


def test_a_state_travels_whole() -> None:
    state = SessionState(id="s", agent_id="a", sequence=7)
    assert decode_state(encode_state(state)) == state
