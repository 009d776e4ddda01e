"""A language model and a voice that need no network: scripted answers, and a hum."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, Never, TypeAlias
from uuid import uuid4

import msgspec
import numpy as np
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, APIConnectOptions, llm, tts
from livekit.agents.llm.tool_context import get_fnc_tool_names
from livekit.agents.tts import AudioEmitter
from livekit.agents.types import NotGivenOr

HUM_RATE: Final = 24_000
HUM_SECONDS: Final = 0.06
"""How long each character of the text is hummed."""


class Prompt(msgspec.Struct, frozen=True):
    """The input of one answer of the model.

    `user` is the user's last line; `result` the result of the tool that was called for it, or
    None; `tools` the names of the tools that may be called; `notes` all system messages.
    """

    user: str
    result: str | None
    tools: tuple[str, ...]
    notes: str


class Call(msgspec.Struct, frozen=True):
    """Call a tool instead of answering."""

    tool: str
    arguments: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


Script: TypeAlias = Callable[[Prompt], str | Call]


class ScriptedModel(llm.LLM[Never]):
    """A model whose answers come from a function of the prompt; it keeps the prompts."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script = script
        self.prompts: list[Prompt] = []

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        """Answer at once."""
        prompt = _prompt(chat_ctx, tools or [])
        self.prompts.append(prompt)
        return _Stream(
            self,
            lambda: self._script(prompt),
            chat_ctx=chat_ctx,
            tools=tools or [],
            conn_options=conn_options,
        )


class _Stream(llm.LLMStream):
    def __init__(
        self,
        model: ScriptedModel,
        answer: Callable[[], str | Call],
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        conn_options: APIConnectOptions,
    ) -> None:
        super().__init__(model, chat_ctx=chat_ctx, tools=tools, conn_options=conn_options)
        self._answer = answer

    async def _run(self) -> None:
        answer = self._answer()
        if isinstance(answer, Call):
            call = llm.FunctionToolCall(
                name=answer.tool,
                arguments=json.dumps(answer.arguments),
                call_id=uuid4().hex,
            )
            delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
        else:
            delta = llm.ChoiceDelta(role="assistant", content=answer)
        self._event_ch.send_nowait(llm.ChatChunk(id=uuid4().hex, delta=delta))


def _prompt(context: llm.ChatContext, tools: list[llm.Tool]) -> Prompt:
    user, result, notes = "", None, list[str]()
    for item in context.items:
        if item.type == "message" and item.role == "user":
            user, result = item.text_content or "", None
        elif item.type == "message" and item.role in ("system", "developer"):
            notes.append(item.text_content or "")
        elif item.type == "function_call_output":
            result = item.output
    return Prompt(user, result, tuple(get_fnc_tool_names(tools)), "\n".join(notes))


class FakeTTS(tts.TTS[Never]):
    """A voice that hums: 0.06 s of syllables and pauses for each character of the text."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False),
            sample_rate=HUM_RATE,
            num_channels=1,
        )

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """Hum a text."""
        return _Hum(tts=self, input_text=text, conn_options=conn_options)


class _Hum(tts.ChunkedStream):
    async def _run(self, output_emitter: AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=uuid4().hex,
            sample_rate=HUM_RATE,
            num_channels=1,
            mime_type="audio/pcm",
        )
        output_emitter.push(hum(len(self._input_text) * HUM_SECONDS))
        output_emitter.flush()


def hum(seconds: float) -> bytes:
    """16-bit samples of a low hum that swells and fades four times a second."""
    at = np.arange(max(1, int(seconds * HUM_RATE))) / HUM_RATE
    loudness = np.abs(np.sin(np.pi * 4.0 * at))
    samples = 9_000 * loudness * np.sin(2 * np.pi * 180.0 * at)
    return bytes(samples.astype(np.int16).tobytes())
