"""A session on a scripted room, its control socket in a directory of the test's own."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from livelayer_bus import Session
from livelayer_bus.testing import ScriptedRoom, ScriptedRooms


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """$XDG_RUNTIME_DIR; short, because a socket's path has about a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="ll") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


@pytest.fixture
async def session(
    anyio_backend: object, runtime: Path, scripted_rooms: ScriptedRooms
) -> AsyncGenerator[Session]:
    """Connected, with an agent."""
    async with Session(
        "agt", tokens=scripted_rooms.tokens, room=scripted_rooms, capacity=64
    ) as opened:
        await opened.connect()
        scripted_rooms.rooms[0].agent_joins()
        yield opened


@pytest.fixture
def room(session: Session, scripted_rooms: ScriptedRooms) -> ScriptedRoom:
    return scripted_rooms.rooms[0]
