"""The room tests' surroundings: asyncio loops only, an embedded server, and a real one if there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from livelayer_embedded import EmbeddedServer

from livelayer_bus.rooms import LiveKitRoom
from tests.rooms.kit import (
    Joined,
    RealServer,
    RecordingSink,
    Stage,
    embedded_stage,
    new_writers,
    nothing_left,
)

LOOPS = [
    pytest.param(("asyncio", {}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
]
SERVERS = ["embedded", pytest.param("real", marks=pytest.mark.livekit)]


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """The LiveKit SDK runs on asyncio."""
    backend: tuple[str, dict[str, object]] = request.param
    return backend


@pytest.fixture(params=SERVERS)
async def stage(request: pytest.FixtureRequest, anyio_backend: object) -> AsyncIterator[Stage]:
    """A room on each kind of server; whatever runs when the test is over fails it."""
    if request.param == "real":
        url, key, secret = (
            os.environ.get(f"LIVEKIT_{name}", "") for name in ("URL", "API_KEY", "API_SECRET")
        )
        if not (url and key and secret):
            pytest.skip("need LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET")
        async with nothing_left():
            stage = Stage(RealServer(url, key, secret), key, secret)
            yield stage
            await stage.aclose()
        return
    async with nothing_left(), EmbeddedServer() as server:
        stage = embedded_stage(server)
        yield stage
        await stage.aclose()


@pytest.fixture
def sink() -> RecordingSink:
    """Remembers what a room reports."""
    return RecordingSink()


@pytest.fixture
async def joined(stage: Stage, sink: RecordingSink) -> AsyncIterator[Joined]:
    """A user of ours in the stage's room."""
    video, audio, writers = new_writers()
    sink.writers = video, audio
    room = LiveKitRoom()
    await room.connect(stage.access(), sink, writers)
    yield Joined(room, video, audio)
    await room.aclose()
