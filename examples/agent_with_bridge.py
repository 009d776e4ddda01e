"""The voice agent of livekit-agents' README, connected with LiveLayer surfaces by two lines.

The model gets a tool for each command that the surfaces allow, and its result. Every surface in
the room knows the agent's state, and lines typed there are answered.

    pip install livekit-plugins-livelayer
    python agent_with_bridge.py dev
"""

from __future__ import annotations

from typing import Any

from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    JobContext,
    RunContext,
    cli,
    function_tool,
    inference,
)
from livekit.plugins import livelayer


@function_tool
async def lookup_weather(context: RunContext[Any], location: str) -> dict[str, object]:
    """Used to look up weather information."""
    return {"weather": "sunny", "temperature": 70}


def new_session() -> AgentSession[Any]:
    """Return any combination of STT, LLM and TTS, or a realtime model."""
    return AgentSession(
        vad=inference.VAD(),
        stt=inference.STT("deepgram/nova-3", language="multi"),
        llm=inference.LLM("google/gemma-4-31b-it"),
        tts=inference.TTS("cartesia/sonic-3"),
    )


server = AgentServer()


@server.rtc_session()
async def entrypoint(ctx: JobContext) -> None:
    """Talk to the users in the room."""
    session = new_session()
    bridge = livelayer.SurfaceBridge(session, ctx.room, capabilities=["navigate", "read_page"])
    await bridge.start()

    agent = Agent(
        instructions="You are a friendly voice assistant built by LiveKit.",
        tools=[lookup_weather],
    )
    await session.start(agent=agent, room=ctx.room)
    session.generate_reply(instructions="greet the user and ask about their day")


if __name__ == "__main__":
    cli.run_app(server)
