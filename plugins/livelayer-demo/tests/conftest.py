"""The demo agent's stage: an embedded server, or a real one where the environment names it."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from livekit import api
from livelayer_demo import demo_agent_token
from livelayer_embedded import EmbeddedServer

KEY, SECRET = "demo-tests", "a-secret-that-is-long-enough-for-hs256"


@dataclass(frozen=True)
class Stage:
    """A server and a room of its own for one test."""

    url: str
    key: str
    secret: str
    server: EmbeddedServer | None = None
    room: str = field(default_factory=lambda: f"demo-{uuid.uuid4().hex[:8]}")

    def agent_token(self) -> str:
        return demo_agent_token(self.key, self.secret, self.room)

    def user_token(self, identity: str = "user") -> str:
        grants = api.VideoGrants(room_join=True, room=self.room)
        token = api.AccessToken(self.key, self.secret).with_identity(identity)
        return token.with_grants(grants).to_jwt()


@pytest.fixture
def anyio_backend() -> str:
    """LiveKit's libraries run on asyncio."""
    return "asyncio"


@pytest.fixture
async def embedded() -> AsyncIterator[Stage]:
    async with EmbeddedServer(port=0, key=KEY, secret=SECRET) as server:
        yield Stage(server.url, KEY, SECRET, server)


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.livekit)])
async def stage(request: pytest.FixtureRequest, embedded: Stage) -> Stage:
    """The embedded server and, where it is given, a real one."""
    if request.param == "embedded":
        return embedded
    names = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
    url, key, secret = (os.environ.get(name, "") for name in names)
    if not (url and key and secret):
        pytest.skip("need LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET")
    return Stage(url, key, secret)
