"""The fixture `livelayer_agent`, and the event loop that livekit-agents needs."""

from __future__ import annotations

import pytest

pytest_plugins = ["livekit.plugins.livelayer.testing"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
