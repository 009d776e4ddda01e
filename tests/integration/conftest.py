"""Whole sessions over the embedded server: real SDK, real WebRTC, one machine."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest
from livelayer_embedded import EmbeddedServer

from livelayer_bus import LocalKeys
from tests.rooms.kit import RealServer, Stage, embedded_stage, nothing_left
from tests.support import lasting_port

SERVERS = ["embedded", pytest.param("real", marks=pytest.mark.livekit)]


@pytest.fixture(params=[pytest.param(("asyncio", {}), id="asyncio")])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """The SDK and the embedded server are asyncio's."""
    backend: tuple[str, dict[str, object]] = request.param
    return backend


@pytest.fixture
async def server(anyio_backend: object) -> AsyncGenerator[EmbeddedServer, None]:
    async with EmbeddedServer(port=lasting_port()) as server:
        yield server


@pytest.fixture
def tokens(server: EmbeddedServer) -> LocalKeys:
    return LocalKeys(server.url, server.key, server.secret)


def real_stage() -> Stage:
    """A room on the server that the environment names; without one the test is skipped."""
    url, key, secret = (
        os.environ.get(f"LIVEKIT_{name}", "") for name in ("URL", "API_KEY", "API_SECRET")
    )
    if not (url and key and secret):
        pytest.skip("need LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET")
    return Stage(RealServer(url, key, secret), key, secret)


@pytest.fixture(params=SERVERS)
async def stage(request: pytest.FixtureRequest, anyio_backend: object) -> AsyncGenerator[Stage]:
    """A room on each kind of server; whatever runs when the test is over fails it."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(nothing_left())
        if request.param == "real":
            stage = real_stage()
        else:
            stage = embedded_stage(await stack.enter_async_context(EmbeddedServer()))
        stack.push_async_callback(stage.aclose)
        yield stage
