"""A session's surfaces: its fixtures, and a room with a participant."""

from __future__ import annotations

import pytest

from livelayer_bus.session import Session
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms, settle


@pytest.fixture
async def room(
    anyio_backend: object, session: Session, scripted_rooms: ScriptedRooms
) -> ScriptedRoom:
    """The room of a connected session, with an active agent."""
    await session.connect()
    room = await scripted_rooms.next()
    room.agent_joins()
    await settle()
    return room
