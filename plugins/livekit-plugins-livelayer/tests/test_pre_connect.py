"""An agent of livekit-agents hears what the user said before it came."""

from __future__ import annotations

from typing import Any

import anyio
import numpy as np
import pytest
from livekit import api, rtc
from livekit.agents import AgentSession
from livekit.agents.voice import room_io
from livekit.plugins.livelayer.testing import ScriptedModel
from livelayer_embedded import EmbeddedServer

from livelayer_bus import LocalKeys, Session
from livelayer_bus.media import AudioFrame
from livelayer_bus.rooms import keep
from livelayer_bus.testing import PATIENCE

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

RATE = 24_000
FRAMES = 50  # of 10 ms
LOUD = AudioFrame((b"\x00\x20" * 20 + b"\x00\xe0" * 20) * 6, RATE, 1, 240)
AUDIO = room_io.AudioInputOptions(sample_rate=RATE, num_channels=1)


async def loud_seconds(audio: Any, wanted: float) -> float:
    """Read until that much loud sound was heard; how much it was."""
    heard = 0.0
    async for frame in audio:
        if np.abs(np.frombuffer(frame.data, np.int16)).max() > 1000:
            heard += frame.duration
        if heard >= wanted:
            break
    return heard


async def test_words_from_before_the_agent_are_the_first_that_it_hears() -> None:
    wanted = FRAMES * 0.01
    agents: AgentSession[Any] = AgentSession(
        llm=ScriptedModel(lambda _: "Yes."), user_away_timeout=None
    )
    room = rtc.Room()
    options = room_io.RoomOptions(audio_input=AUDIO, audio_output=False)
    io = room_io.RoomIO(agents, room, options=options)
    async with EmbeddedServer() as server:
        keys = LocalKeys(server.url, server.key, server.secret)
        async with Session("agt_1", tokens=keys) as session:
            await session.connect()
            async with session.microphone.acquire("me") as microphone:
                for _ in range(FRAMES):
                    await microphone.push(LOUD)
                # Nothing is pushed from here on: what is loud comes from the buffer.
                await io.start()
                assert session.room is not None
                grants = api.VideoGrants(room_join=True, room=session.room.name, agent=True)
                token = api.AccessToken(server.key, server.secret).with_identity("agent")
                token = token.with_kind("agent").with_grants(grants)
                two = rtc.RoomOptions(single_peer_connection=False)
                await room.connect(server.url, token.to_jwt(), two)
                keep(room)
                with anyio.fail_after(PATIENCE):
                    heard = await loud_seconds(io.audio_input, wanted)
            await io.aclose()
            await room.disconnect()
    assert heard == pytest.approx(wanted)
