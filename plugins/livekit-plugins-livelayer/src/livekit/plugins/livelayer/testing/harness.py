"""An agent under test: its session, its bridge and a scripted surface, in a real room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import anyio
import msgspec
import pytest
from livekit import api, rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice import room_io
from livekit.agents.voice.avatar import AvatarSession
from livelayer_embedded import EmbeddedServer

from livelayer_bus.messages import ALL
from livelayer_bus.rooms import keep, prepare_sdk

from .. import SurfaceBridge, ToolSharing
from .model import Script, ScriptedModel
from .surface import PATIENCE, ScriptedSurface

ROOM = "agent-harness"


class AgentHarness(msgspec.Struct, frozen=True):
    """The parts of a running test: all are real but the surface and, by default, the model."""

    session: AgentSession[Any]
    bridge: SurfaceBridge
    surface: ScriptedSurface
    room: rtc.Room
    server: EmbeddedServer

    async def join(self, surface: ScriptedSurface, identity: str) -> ScriptedSurface:
        """Let another participant join, with a page of its own; the caller closes it."""
        await surface.connect(self.server.url, self.server.token(identity, room=ROOM))
        return surface


@asynccontextmanager
async def run_agent(
    agent: Agent,
    script: Script | None = None,
    *,
    session: AgentSession[Any] | None = None,
    surface: ScriptedSurface | None = None,
    capabilities: Iterable[str] = ALL,
    room_options: room_io.RoomOptions | None = None,
    command_timeout: float = 20.0,
    leave_after: float | None = None,
    share_tools: ToolSharing = "names",
    avatar: AvatarSession[Any] | None = None,
) -> AsyncGenerator[AgentHarness]:
    """Run an agent in a room on this machine, without a key, a model or a browser.

    Inside the block the agent has started and the surface has its state. Leaving the block ends
    everything. asyncio only; needs `livekit-plugins-livelayer[testing]`.

    Args:
        agent: The agent to test.
        script: Answers for the model; unused if `session` is given.
        session: The session; by default one with a `ScriptedModel`, text only.
        surface: The page; by default one that lets the agent do everything.
        capabilities: The capabilities that the bridge is given.
        room_options: Of `session.start`; by default without audio.
        command_timeout: Seconds that the bridge waits for an answer.
        leave_after: Of the bridge, in seconds.
        share_tools: Of the bridge.
        avatar: Started before the session, closed at the end.
    """
    page = surface or ScriptedSurface()
    model = ScriptedModel(script or (lambda prompt: prompt.result or "Yes."))
    talk = session or AgentSession(llm=model, user_away_timeout=None)
    options = room_options or room_io.RoomOptions(audio_input=False, audio_output=False)
    room = rtc.Room()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(EmbeddedServer())
        stack.push_async_callback(room.disconnect)
        prepare_sdk(server.url)
        # Every server offers two connections; a single one logs a warning where it is unknown.
        two = rtc.RoomOptions(single_peer_connection=False)
        await room.connect(server.url, _agent_token(server), two)
        keep(room)
        stack.push_async_callback(page.aclose)
        async with _arrival(room):
            await page.connect(server.url, server.token("user", room=ROOM))
        bridge = SurfaceBridge(
            talk,
            room,
            capabilities=capabilities,
            command_timeout=command_timeout,
            leave_after=leave_after,
            share_tools=share_tools,
        )
        stack.push_async_callback(talk.aclose)
        await stack.enter_async_context(bridge)
        if avatar is not None:
            stack.push_async_callback(avatar.aclose)
            await avatar.start(talk, room)
        await talk.start(agent, room=room, room_options=options, record=False)
        await page.until(lambda: "agent_state" in page.types())
        yield AgentHarness(talk, bridge, page, room, server)


@asynccontextmanager
async def _arrival(room: rtc.Room) -> AsyncGenerator[None]:
    """Leave the block when a participant is active: before, messages arrive twice or not at all."""
    active = asyncio.Event()

    def on_active(_participant: rtc.RemoteParticipant) -> None:
        active.set()

    room.on("participant_active", on_active)
    try:
        yield
        with anyio.fail_after(PATIENCE):
            await active.wait()
    finally:
        room.off("participant_active", on_active)


def _agent_token(server: EmbeddedServer) -> str:
    grants = api.VideoGrants(room_join=True, room=ROOM, agent=True, can_update_own_metadata=True)
    return (
        api.AccessToken(server.key, server.secret)
        .with_identity("agent")
        .with_kind("agent")
        .with_grants(grants)
        .to_jwt()
    )


class StartAgent(Protocol):
    """Runs an agent until the test ends; the arguments are those of `run_agent`."""

    async def __call__(
        self, agent: Agent, script: Script | None = None, **options: Any
    ) -> AgentHarness: ...


@pytest.fixture
async def livelayer_agent() -> AsyncGenerator[StartAgent]:
    """Run an agent until the test ends: `harness = await livelayer_agent(MyAgent(), script)`."""
    async with AsyncExitStack() as stack:

        async def start(agent: Agent, script: Script | None = None, **options: Any) -> AgentHarness:
            return await stack.enter_async_context(run_agent(agent, script, **options))

        yield start
