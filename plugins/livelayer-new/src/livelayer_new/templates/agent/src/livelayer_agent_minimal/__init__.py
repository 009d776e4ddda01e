"""A livekit-agents worker that LiveLayer surfaces understand."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator
from typing import Any, Never

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, ModelSettings, inference
from livekit.agents.llm import (
    LLM,
    ChatChunk,
    ChatContext,
    ChoiceDelta,
    FunctionToolCall,
    LLMStream,
    Tool,
)
from livekit.agents.voice import room_io
from livekit.plugins.livelayer import SurfaceBridge

__all__ = ["MinimalAgent", "RuleAgent", "server"]

NAME = os.environ.get("LIVELAYER_AGENT", "livelayer-demo")
MODEL = os.environ.get("AGENT_MODEL", "")
CAPABILITIES = ["navigate", "scroll", "read_page"]
"""What the agent asks pages to do; each is a tool of its model."""

server = AgentServer()


class MinimalAgent(Agent):
    """What the agent is told to do; the bridge adds the tools for pages."""

    def __init__(self) -> None:
        super().__init__(
            instructions="Guide people through our site, in short sentences. Use the tools to show "
            "them pages, and report truthfully what the tools return."
        )


class RuleAgent(MinimalAgent):
    """The same without a model, so that the first try needs no key: remove it when you have one."""

    async def llm_node(
        self, chat_ctx: ChatContext, tools: list[Tool], model_settings: ModelSettings
    ) -> AsyncGenerator[ChatChunk | str, None]:
        """Answer the last line; "go to PAGE" calls the tool `navigate`, as a model would."""
        last = chat_ctx.items[-1]
        if last.type == "function_call_output":
            yield last.output
            return
        line = last.text_content if last.type == "message" and last.role == "user" else None
        if page := re.search(r"go to (?:the )?(\w+)", (line or "").lower()):
            call = FunctionToolCall(
                name="navigate", arguments=f'{{"href": "/{page[1]}"}}', call_id="by-rule"
            )
            yield ChatChunk(id="by-rule", delta=ChoiceDelta(role="assistant", tool_calls=[call]))
        else:
            yield f"You said: {line}" if line else "Hello! Type a line, such as: go to pricing"


class NoModel(LLM[Never]):
    """Stands where a model will be: `RuleAgent` answers by itself."""

    def chat(self, **_options: Any) -> LLMStream:
        """Refuse.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("this agent has no model: set AGENT_MODEL")


def new_session() -> AgentSession[Any]:
    """The conversation: add a recogniser (stt) and a voice (tts) here."""
    return AgentSession(llm=inference.LLM(MODEL) if MODEL else NoModel())


async def serve_room(ctx: JobContext) -> None:
    """Talk to the people in one room."""
    await ctx.connect()
    session = new_session()
    bridge = SurfaceBridge(session, ctx.room, capabilities=CAPABILITIES)
    await bridge.start()
    await session.start(
        MinimalAgent() if MODEL else RuleAgent(),
        room=ctx.room,
        room_options=room_io.RoomOptions(
            text_input=room_io.TextInputOptions(text_input_cb=bridge.text_input),
            audio_input=False,
            audio_output=False,
        ),
    )
    session.generate_reply(instructions="Greet the user.")


server.rtc_session(serve_room, agent_name=NAME)
