"""The livekit-agents parts that need no key: an agent whose nodes are the guide and espeak-ng."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from concurrent.futures import Executor
from typing import Any, Final, Never

from livekit import rtc
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    Agent,
    APIConnectOptions,
    ModelSettings,
    StopResponse,
    llm,
    tts,
)
from livekit.plugins.livelayer import SurfaceBridge
from livekit.plugins.livelayer.face import VISEMES_KEY, Viseme

from livelayer_bus.errors import NotSupportedError
from livelayer_bus.messages import RequestPageContext

from . import guide
from .speech import Speech, Voice

OUTPUT_RATE: Final = 24_000
"""Samples a second of RoomIO's audio output; frames made at this rate pass through it unchanged."""

THINKING_SECONDS: Final = 0.35
"""A moment of thought before each answer, so that the thinking face can be seen."""

_FRAME_SECONDS: Final = 0.1
_SENTENCE_END: Final = re.compile(r"(?<=[.!?:])(?:\s+|$)")


class GuideModel(llm.LLM[Never]):
    """Stands where `AgentSession` demands a model; the guide answers in `llm_node` instead."""

    def chat(self, **_options: Any) -> llm.LLMStream:
        """Refuse: nothing may reach this model.

        Raises:
            NotSupportedError: Always.
        """
        raise NotSupportedError("chat()", "the offline guide (it answers in llm_node)")


class EspeakModel(tts.TTS[Never]):
    """Tells `AgentSession` what espeak-ng's audio is like; `tts_node` speaks instead."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False),
            sample_rate=OUTPUT_RATE,
            num_channels=1,
        )

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """Refuse: nothing may reach this model.

        Raises:
            NotSupportedError: Always.
        """
        raise NotSupportedError("synthesize()", "the offline voice (it speaks in tts_node)")


class GuideAgent(Agent):
    """Answers with the rules of `guide`, speaks with espeak-ng, and acts over the bridge."""

    def __init__(
        self,
        bridge: SurfaceBridge,
        voice: Voice,
        executor: Executor,
        on_speech: Callable[[], None],
        *,
        thinking_seconds: float = THINKING_SECONDS,
    ) -> None:
        """
        Args:
            bridge: Where commands go.
            voice: Who speaks.
            executor: Where `voice` works, away from the loop.
            on_speech: Called when somebody has said something aloud, which nobody can transcribe.
            thinking_seconds: Pause before each answer.
        """
        super().__init__(instructions="Answer with the rules of the guide.")
        self._bridge = bridge
        self._voice = voice
        self._executor = executor
        self._on_speech = on_speech
        self._thinking_seconds = thinking_seconds
        self._memory = guide.Memory()

    async def on_user_turn_completed(
        self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
    ) -> None:
        """Turn the end of a spoken turn without words into `on_speech`; there is no reply to it.

        Raises:
            StopResponse: If the turn has no words.
        """
        if not (new_message.text_content or "").strip():
            self._on_speech()
            raise StopResponse

    async def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings
    ) -> AsyncGenerator[str, None]:
        """Take the steps of the guide's reply one by one, reporting each command's result."""
        await asyncio.sleep(self._thinking_seconds)
        reply = guide.respond(_last_user_text(chat_ctx), self._memory)
        self._memory = reply.memory
        space = ""
        for step in reply.steps:
            yield space + (step.text if isinstance(step, guide.Say) else await self._act(step))
            space = " "

    async def tts_node(
        self, text: AsyncIterable[str], model_settings: ModelSettings
    ) -> AsyncGenerator[rtc.AudioFrame, None]:
        """Speak sentence by sentence, as soon as each is complete; frames carry their visemes."""
        loop = asyncio.get_running_loop()
        async for sentence in sentences(text):
            for frame in await loop.run_in_executor(self._executor, self._speak, sentence):
                yield frame

    def _speak(self, sentence: str) -> list[rtc.AudioFrame]:
        return frames_of(self._voice.speak(sentence))

    async def _act(self, step: guide.Act | guide.ReadPage) -> str:
        if isinstance(step, guide.Act):
            answer = await self._bridge.command({"type": step.command, **step.fields})
            return guide.outcome_text(step, answer.outcome)
        answer = await self._bridge.command(RequestPageContext())
        return guide.page_text(answer.value) if answer else guide.page_outcome_text(answer.outcome)


async def sentences(text: AsyncIterable[str]) -> AsyncGenerator[str, None]:
    """Cut a stream of text into sentences, each given as soon as its end is seen.

    A chunk that ends like a sentence is taken to end one: the guide's chunks are whole sentences.
    """
    rest = ""
    async for chunk in text:
        *whole, rest = _SENTENCE_END.split(rest + chunk)
        for sentence in whole:
            if sentence.strip():
                yield sentence.strip()
    if rest.strip():
        yield rest.strip()


def frames_of(speech: Speech) -> list[rtc.AudioFrame]:
    """A speech as frames at `OUTPUT_RATE`, each with the visemes that fall into it."""
    resampler = rtc.AudioResampler(speech.sample_rate, OUTPUT_RATE, num_channels=1)
    pcm = bytearray()
    for part in (*resampler.push(bytearray(speech.pcm)), *resampler.flush()):
        pcm += part.data.cast("B")
    size = int(OUTPUT_RATE * _FRAME_SECONDS)
    frames: list[rtc.AudioFrame] = []
    for start in range(0, len(pcm) // 2, size):
        samples = bytes(pcm[start * 2 : (start + size) * 2])
        begin, end = start / OUTPUT_RATE, (start + size) / OUTPUT_RATE
        visemes = tuple(
            Viseme(viseme.at - begin, viseme.shape)
            for viseme in speech.visemes
            if begin <= viseme.at < end
        )
        frames.append(
            rtc.AudioFrame(
                samples, OUTPUT_RATE, 1, len(samples) // 2, userdata={VISEMES_KEY: visemes}
            )
        )
    return frames


def _last_user_text(chat_ctx: llm.ChatContext) -> str:
    for item in reversed(chat_ctx.items):
        if item.type == "message" and item.role == "user":
            return item.text_content or ""
    return ""
