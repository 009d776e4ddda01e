"""A session in another process: its events, its state, and what is asked of its owner."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from livelayer_nats import RemoteSession

from livelayer_bus import ControlledSession
from livelayer_bus.state import reduce
from livelayer_bus.testing import PATIENCE, check_controlled_session

from .nats_kit import NatsServer, caught_up, joined, owned

pytestmark = pytest.mark.anyio


async def remote_of(server: NatsServer, session: ControlledSession) -> RemoteSession:
    return RemoteSession(server.url, session.id)


async def test_a_remote_has_the_owners_state_at_every_sequence(server: NatsServer) -> None:
    async with owned(server) as (session, rooms):
        states = {}

        async def watch() -> None:
            with session.subscribe() as events:
                state = events.snapshot
                states[state.sequence] = state
                async for event in events:
                    state = reduce(state, event)
                    states[state.sequence] = state

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await anyio.lowlevel.checkpoint()
            async with RemoteSession(server.url, session.id, connect_timeout=PATIENCE) as remote:
                first = remote.state
                with remote.subscribe() as events:
                    room = await joined(session, rooms)
                    for number in range(50):
                        room.transcribes(f"line-{number}", f"words {number}")
                    await caught_up(remote, session.state.sequence)
                    state = events.snapshot
                    assert state == first
                    while events.lag:
                        state = reduce(state, await anext(events))
                        assert state == states[state.sequence]
                    assert state == remote.state == session.state
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def a_remote(server: NatsServer) -> AsyncGenerator[ControlledSession]:
    async with (
        owned(server) as (session, _),
        RemoteSession(server.url, session.id, connect_timeout=PATIENCE) as remote,
    ):
        yield remote


async def test_it_is_a_controlled_session(server: NatsServer) -> None:
    await check_controlled_session(lambda: a_remote(server), seconds=PATIENCE)
