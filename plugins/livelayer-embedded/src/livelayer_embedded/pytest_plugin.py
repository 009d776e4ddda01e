"""The pytest plugin of livelayer-embedded: a real server as the fixture `embedded_server`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anyio.from_thread import start_blocking_portal

from .server import EmbeddedServer


@pytest.fixture
def embedded_server() -> Iterator[EmbeddedServer]:
    """A real server on a free port of this machine's loopback; joining a room creates it.

    It runs on an event loop of its own in a thread: it serves tests on any loop, and also
    while the test's loop is blocked. A test uses only its plain values (`url`, `token(...)`).
    """
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(EmbeddedServer(port=0)) as server,
    ):
        yield server
