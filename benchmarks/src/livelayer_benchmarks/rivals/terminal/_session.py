"""A session with a room in its own process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from livelayer_bus import Session
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms


@asynccontextmanager
async def joined() -> AsyncGenerator[tuple[Session, ScriptedRoom]]:
    """Join a room in which an agent is seen and heard."""
    rooms = ScriptedRooms(agent="agent")
    async with Session("bench", tokens=rooms.tokens, room=rooms) as session:
        await session.connect()
        room = await rooms.next()
        room.track_starts("video")
        room.track_starts("audio")
        yield session, room
