"""An agent's participant, as little of it as a test needs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from livekit import rtc
from livelayer_embedded import EmbeddedServer

from livelayer_bus import AgentAvailabilityChanged, Session
from livelayer_bus.rooms import keep
from livelayer_bus.testing import PATIENCE


@asynccontextmanager
async def agent_in(
    server: EmbeddedServer, session: Session, identity: str = "agent"
) -> AsyncGenerator[rtc.Room, None]:
    """An agent in the session's room, active for the session before the block begins."""
    room = session.room
    assert room is not None
    agent = rtc.Room()
    token = server.token(identity, room=room.name, kind="agent")
    with session.subscribe(AgentAvailabilityChanged) as changes:
        await agent.connect(server.url, token, rtc.RoomOptions(single_peer_connection=False))
        keep(agent)
        with anyio.fail_after(PATIENCE):
            while not session.state.agent_active:
                await anext(changes)
    try:
        yield agent
    finally:
        await agent.disconnect()
