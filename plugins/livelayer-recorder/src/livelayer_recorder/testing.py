"""For tests: a fixture that is a session which replays a recording."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec
import pytest

from livelayer_bus import Session

from .replay import ReplayRoom

__all__ = ["Replayed", "replay_fixture"]


class Replayed(msgspec.Struct, frozen=True):
    """What the fixture gives a test."""

    session: Session
    """Open, not connected: mount surfaces, then `connect()`."""
    room: ReplayRoom
    """Seeks and pauses, and waits for the end."""


def replay_fixture(
    directory: str | os.PathLike[str], **options: Any
) -> Callable[[], AsyncGenerator[Replayed]]:
    """Return a fixture for tests marked `anyio`: a new session that replays a recording.

        from livelayer_recorder.testing import replay_fixture

        welcome = replay_fixture("tests/recordings/welcome", speed=10)

        @pytest.mark.anyio
        async def test_the_panel_shows_what_was_said(welcome):
            welcome.session.mount(panel := Panel(), key="panel")
            await welcome.session.connect()
            await welcome.room.wait_finished()
            assert panel.lines == [...]

    Args:
        directory: the recording.
        options: of `ReplayRoom`.
    """

    @pytest.fixture
    async def replayed() -> AsyncGenerator[Replayed]:
        room = ReplayRoom(directory, **options)
        async with Session(room.agent_id, room=room) as session:
            yield Replayed(session, room)

    return replayed
