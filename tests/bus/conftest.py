"""What the tests of the bus share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio.lowlevel
import pytest

from livelayer_bus.bus import Bus


@pytest.fixture
def idle() -> Callable[[Bus[Any, Any], int], Awaitable[None]]:
    """Let tasks run until so many readers wait for an event."""

    async def wait(bus: Bus[Any, Any], readers: int) -> None:
        while bus.statistics().idle_readers < readers:
            await anyio.lowlevel.checkpoint()

    return wait
