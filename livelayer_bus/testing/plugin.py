"""The pytest plugin of livelayer-bus: active wherever the distribution is installed.

It adds the fixtures `scripted_rooms`, `manual_clock`, `embedded_server` and `no_leaked_tasks`, and
changes nothing for tests that do not ask for them. The asynchronous one runs under anyio's pytest
plugin, which comes with anyio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import start_blocking_portal

from .clock import ManualClock
from .rooms import ScriptedRooms
from .tasks import no_leaked_tasks as guard

if TYPE_CHECKING:  # the server needs the extra `embedded`, which not everybody has installed
    from ..embedded import EmbeddedServer


@pytest.fixture
def scripted_rooms() -> ScriptedRooms:
    """A server without a network, and no agent in its rooms until the test lets one join.

    Pass it on: `Session("agt", tokens=scripted_rooms.tokens, room=scripted_rooms)`.
    """
    return ScriptedRooms()


@pytest.fixture
def manual_clock() -> ManualClock:
    """Time that stands still until the test moves it: `Session(..., clock=manual_clock)`."""
    return ManualClock()


@pytest.fixture
def embedded_server() -> Iterator[EmbeddedServer]:
    """A real server on a free port of this machine's loopback; rooms are made as they are joined.

    It runs on a loop of its own in a thread, so that it serves tests on any loop, and goes on
    while the test's loop is blocked. Only its plain values (`url`, `token(...)`) are for the test.
    Needs `livelayer-bus[embedded]`; without it, the test is skipped.
    """
    pytest.importorskip("aiortc", reason="needs livelayer-bus[embedded]")
    embedded: Any = import_module("livelayer_bus.embedded")
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(embedded.EmbeddedServer(port=0)) as server,
    ):
        yield server


@pytest.fixture
async def no_leaked_tasks(anyio_backend: object) -> AsyncIterator[None]:
    """The test fails if tasks that it started still run a second after its end."""
    async with guard(ignore=lambda name: "TestRunner." in name):  # anyio's, a new one each step
        yield
