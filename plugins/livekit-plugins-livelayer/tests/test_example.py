"""`examples/agent_with_bridge.py` as it stands, with offline parts in place of its models."""

from __future__ import annotations

import importlib.util
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import pytest
from livekit import api, rtc
from livekit.agents import AgentSession, JobContext, Plugin
from livekit.agents.testing import fake_job_context
from livekit.plugins.livelayer.testing import (
    Call,
    FakeTTS,
    Prompt,
    ScriptedModel,
    ScriptedSurface,
)
from livelayer_embedded import EmbeddedServer

from livelayer_bus.rooms import keep

pytestmark = pytest.mark.anyio

EXAMPLE = Path(__file__).parents[3] / "examples" / "agent_with_bridge.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("agent_with_bridge", EXAMPLE)
    if spec is None or spec.loader is None:
        pytest.fail(f"{EXAMPLE} is not a module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def friendly(prompt: Prompt) -> str | Call:
    if prompt.result is not None:
        return prompt.result
    if "pricing" in prompt.user:
        return Call("navigate", {"href": "/pricing"})
    return "Hello, how is your day?"


def test_the_example_differs_from_livekits_by_two_lines() -> None:
    lines = [line.strip() for line in EXAMPLE.read_text().splitlines()]
    ours = [line for line in lines if "bridge" in line and not line.startswith(("python", '"""'))]
    assert len(ours) == 2


def test_the_plugin_is_registered_as_livekits_are(example: ModuleType) -> None:
    packages = [plugin.package for plugin in Plugin.registered_plugins]
    assert packages.count("livekit.plugins.livelayer") == 1


async def test_the_example_carries_out_go_to_pricing(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    session: AgentSession[Any] = AgentSession(
        llm=ScriptedModel(friendly), tts=FakeTTS(), user_away_timeout=None
    )
    monkeypatch.setattr(example, "new_session", lambda: session)
    surface, room = ScriptedSurface(capabilities=["navigate"]), rtc.Room()
    async with EmbeddedServer() as server:
        await room.connect(server.url, token(server), rtc.RoomOptions(single_peer_connection=False))
        keep(room)
        await surface.connect(server.url, server.token("user", room="example"))
        try:
            with fake_job(room) as job:
                await example.entrypoint(job)
                await surface.hear("how is your day")
                await surface.type("take me to pricing")
                assert await surface.next("navigate") == {"type": "navigate", "href": "/pricing"}
                await surface.hear("Done.")
        finally:
            await session.aclose()
            await surface.aclose()
            await room.disconnect()


@contextmanager
def fake_job(room: rtc.Room) -> Generator[JobContext]:
    """A job without a worker, its temporary folder removed, which is a worker's work."""
    with fake_job_context(room=room, agent_identity="agent") as job:
        try:
            yield job
        finally:
            for value in vars(job).values():
                if isinstance(value, TemporaryDirectory):
                    value.cleanup()


def token(server: EmbeddedServer) -> str:
    grants = api.VideoGrants(room_join=True, room="example", can_update_own_metadata=True)
    made = api.AccessToken(server.key, server.secret).with_identity("agent").with_kind("agent")
    return made.with_grants(grants).to_jwt()
