"""The pytest plugin of livelayer-bus: active wherever the distribution is installed.

It adds the fixtures `scripted_rooms`, `manual_clock` and `no_leaked_tasks`, and changes nothing for
tests that do not use them. The asynchronous one runs under the pytest plugin of anyio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .check_thread import no_leaked_tasks as guard
from .room import ScriptedRooms
from .waiting import ManualClock


@pytest.fixture
def scripted_rooms() -> ScriptedRooms:
    """A server without a network; the test lets an agent join.

    Use it as `Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms)`.
    """
    return ScriptedRooms()


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that the test moves: `Session(..., clock=manual_clock)`."""
    return ManualClock()


@pytest.fixture
async def no_leaked_tasks(anyio_backend: object) -> AsyncIterator[None]:
    """The test fails if tasks that it started still run a second after its end."""
    async with guard(ignore=lambda name: "TestRunner." in name):  # anyio starts a new one each step
        yield
