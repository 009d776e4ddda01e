"""What the tests of sessions on other machines share."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from .nats_kit import NatsServer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server(tmp_path: Path, anyio_backend: str) -> AsyncGenerator[NatsServer]:
    server = NatsServer(tmp_path)
    try:
        yield await server.start().ready()
    finally:
        server.kill()
