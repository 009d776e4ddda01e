"""The server is killed in the middle of a session."""

from __future__ import annotations

import anyio
import pytest
from livelayer_embedded import EmbeddedServer

from livelayer_bus import (
    Backoff,
    BrokenError,
    LocalKeys,
    Reconnected,
    Reconnecting,
    RoomAccess,
    Session,
    SessionFailed,
    SurfaceSession,
    TokenRequest,
)
from livelayer_bus.errors import ConnectError, ConnectionLostError, SendTimeoutError
from livelayer_bus.testing import PATIENCE, no_leaked_tasks

from .agents import agent_in

pytestmark = pytest.mark.anyio

HELLO = {"type": "user_message", "text": "hello"}


class CountingTokens:
    """Local keys that remember what was asked of them."""

    def __init__(self, tokens: LocalKeys) -> None:
        self._tokens = tokens
        self.requests: list[TokenRequest] = []

    async def __call__(self, request: TokenRequest) -> RoomAccess:
        self.requests.append(request)
        return await self._tokens(request)


async def test_a_restarted_server_is_rejoined_with_a_new_token(
    server: EmbeddedServer, tokens: LocalKeys
) -> None:
    counting = CountingTokens(tokens)
    async with Session("agt", tokens=counting) as session:
        await session.connect()
        room = session.room
        assert room is not None
        with session.subscribe(Reconnecting, Reconnected) as changes:
            await server.stop()
            with anyio.fail_after(PATIENCE):
                assert isinstance(await anext(changes), Reconnecting)
                meanwhile = session.state
                assert meanwhile.reconnecting
                assert meanwhile.connection_state == "connected"
                with pytest.raises(SendTimeoutError, match="reconnecting"):
                    await session.send_data(HELLO, timeout=0.05)
                await server.start()
                async for change in changes:
                    if isinstance(change, Reconnected):
                        break
        assert not session.state.reconnecting
        if len(counting.requests) > 1:  # else the SDK itself came back in time
            assert counting.requests[1].prior_room_name == room.name
        async with agent_in(server, session) as agent:
            received = anyio.Event()
            agent.on("data_received", lambda packet: received.set())
            await session.send_data(HELLO)
            with anyio.fail_after(PATIENCE):
                await received.wait()


async def test_a_server_that_stays_away_ends_the_session_in_a_typed_error(
    server: EmbeddedServer, tokens: LocalKeys
) -> None:
    quick = Backoff(initial=0.05, maximum=0.1, attempts=2)
    async with no_leaked_tasks(PATIENCE), Session("agt", tokens=tokens, reconnect=quick) as session:
        await session.connect()
        with session.subscribe(SessionFailed) as failures:
            await server.stop()
            with anyio.fail_after(PATIENCE):
                failure = await anext(failures)
        assert failure.retryable
        assert session.connection_state == "error"
        assert session.error == failure.error
        with pytest.raises(ConnectionLostError):
            await session.send_data(HELLO)
        with pytest.raises(ConnectError):
            await session.connect()


async def test_leaving_the_block_is_bounded_while_the_server_is_gone(
    server: EmbeddedServer, tokens: LocalKeys
) -> None:
    async def surface(session: SurfaceSession) -> None:
        await anyio.sleep_forever()

    with anyio.fail_after(PATIENCE):
        async with (
            no_leaked_tasks(PATIENCE),
            Session("agt", tokens=tokens, close_timeout=2) as session,
        ):
            session.mount(surface, key="panel")
            await session.connect()
            await server.stop()


async def test_a_dead_address_is_an_error_that_names_it(tokens: LocalKeys) -> None:
    dead = LocalKeys("ws://127.0.0.1:9", "key", "secret" * 8)
    async with Session("agt", tokens=dead) as session:
        with pytest.raises(BrokenError, match=r"127\.0\.0\.1:9"):
            await session.connect()
        assert session.connection_state == "error"
        assert "secret" not in str(session.error)
