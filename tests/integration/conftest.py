"""Whole sessions over the embedded server: real SDK, real WebRTC, one machine."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from livelayer_bus import LocalKeys
from livelayer_bus.embedded import EmbeddedServer


@pytest.fixture(params=[pytest.param(("asyncio", {}), id="asyncio")])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """The SDK and the embedded server are asyncio's."""
    backend: tuple[str, dict[str, object]] = request.param
    return backend


@pytest.fixture
async def server(anyio_backend: object) -> AsyncGenerator[EmbeddedServer, None]:
    async with EmbeddedServer() as server:
        yield server


@pytest.fixture
def tokens(server: EmbeddedServer) -> LocalKeys:
    return LocalKeys(server.url, server.key, server.secret)
