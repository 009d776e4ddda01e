"""Sessions on scripted rooms and a manual clock."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol, Unpack

import pytest

from livelayer_bus.clock import Backoff
from livelayer_bus.session import Session, SessionOptions
from livelayer_bus.testing import ManualClock, ScriptedRooms

PAUSES = Backoff(initial=1.0, maximum=1.0, jitter=0.0, attempts=3)


class MakeSession(Protocol):
    def __call__(self, **options: Unpack[SessionOptions]) -> Session: ...


@pytest.fixture(autouse=True)
def leak_guard(no_leaked_tasks: None) -> None:
    """Every test of a session also shows that nothing of it is left."""


@pytest.fixture
def make_session(scripted_rooms: ScriptedRooms, manual_clock: ManualClock) -> MakeSession:
    """A session that is not open yet; pauses are one second sharp, and agents have any time."""

    def make(**options: Unpack[SessionOptions]) -> Session:
        options.setdefault("tokens", scripted_rooms.tokens)
        options.setdefault("room", scripted_rooms)
        options.setdefault("clock", manual_clock)
        options.setdefault("reconnect", PAUSES)
        options.setdefault("agent_timeout", None)
        return Session("agt", **options)

    return make


@pytest.fixture
async def session(anyio_backend: object, make_session: MakeSession) -> AsyncGenerator[Session]:
    """An open session that is not connected."""
    async with make_session() as opened:
        yield opened
