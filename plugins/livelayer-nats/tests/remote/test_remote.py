"""A session in another process: its events, its state, and what is asked of its owner."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.lowlevel
import pytest
from livelayer_nats import NatsError, NoSuchSessionError, RemoteSession

from livelayer_bus import ClosedError, ControlledSession, MisuseError
from livelayer_bus.state import reduce
from livelayer_bus.testing import PATIENCE, check_controlled_session

from .nats_kit import NatsServer, caught_up, joined, owned

pytestmark = pytest.mark.anyio


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


async def test_a_remote_that_keeps_up_reads_nothing_twice(server: NatsServer) -> None:
    async with (
        owned(server) as (session, rooms),
        RemoteSession(server.url, session.id, connect_timeout=PATIENCE) as remote,
    ):
        room = await joined(session, rooms)
        for number in range(100):
            room.transcribes(f"line-{number}", "words")
            await caught_up(remote, session.state.sequence)
        async with RemoteSession(server.url, session.id, connect_timeout=PATIENCE) as late:
            assert late.state == session.state  # at once, without waiting for the next event
        # Those of opening it, and one for each five seconds without a message.
        assert remote.statistics().catch_ups < 50


async def test_nothing_goes_on_after_the_owner_closed_the_session(server: NatsServer) -> None:
    async with owned(server) as (session, _):
        remote = RemoteSession(server.url, session.id, connect_timeout=PATIENCE)
        await remote.__aenter__()
    with anyio.fail_after(PATIENCE):
        with suppress(ClosedError), remote.subscribe(after=0) as events:
            async for _ in events:
                pass
    with pytest.raises(ClosedError):
        await remote.connect()
    await remote.aclose()
    with pytest.raises(ClosedError):
        async with RemoteSession(server.url, session.id, connect_timeout=PATIENCE):
            pass


async def test_a_session_that_nobody_knows(server: NatsServer) -> None:
    with pytest.raises((NoSuchSessionError, NatsError)) as unknown:
        async with RemoteSession(server.url, "nobody", connect_timeout=0.5):
            pass
    assert unknown.value.retryable
    with pytest.raises(MisuseError, match="1 to 128"):
        RemoteSession(server.url, "a.b")


@asynccontextmanager
async def a_remote(server: NatsServer) -> AsyncGenerator[ControlledSession]:
    async with (
        owned(server) as (session, _),
        RemoteSession(server.url, session.id, connect_timeout=PATIENCE) as remote,
    ):
        yield remote


async def test_it_is_a_controlled_session(server: NatsServer) -> None:
    await check_controlled_session(lambda: a_remote(server), seconds=PATIENCE)
