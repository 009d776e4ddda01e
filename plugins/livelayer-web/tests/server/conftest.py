"""The web surface on a scripted session, and pages that ask it over HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial

import pytest

from livelayer_bus.testing import ManualClock

from .scripted import Serve, Web, scripted_web


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, object]]:
    """uvicorn and aiortc are asyncio's."""
    return "asyncio", {}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def serve(clock: ManualClock) -> Serve:
    """Mounts a web surface on a scripted session, on a port of its own, on manual time."""
    return partial(scripted_web, clock)


@pytest.fixture
async def web(serve: Serve) -> AsyncGenerator[Web]:
    async with serve(capabilities=("navigate", "scroll", "read_page")) as web:
        yield web
