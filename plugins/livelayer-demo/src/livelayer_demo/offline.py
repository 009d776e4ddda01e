"""Models of livekit-agents that need no key: the guide answers, espeak-ng speaks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, Final, Never, TypeAlias

from livekit import rtc
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    Agent,
    APIConnectOptions,
    LanguageCode,
    ModelSettings,
    NotGivenOr,
    StopResponse,
    llm,
    stt,
    tts,
)
from livekit.agents.utils import AudioBuffer
from livekit.plugins.livelayer import SurfaceBridge
from livekit.plugins.livelayer.face import AUDIO_RATE, VISEMES_KEY, Viseme

from livelayer_bus.errors import NotSupportedError
from livelayer_bus.messages import RequestPageContext

from . import guide
from .speech import Speech, Voice

Transcribe: TypeAlias = Callable[[rtc.AudioFrame], Awaitable[str]]
"""Gets the speech between two silences, as one frame; returns its text, "" if it has no words."""

THINKING_SECONDS: Final = 0.35
"""The pause before each answer, so that the thinking face can be seen."""

_FRAME_SECONDS: Final = 0.1
_LANGUAGE: Final = LanguageCode("en")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?:])(?:\s+|$)")


class GuideLLM(llm.LLM[Never]):
    """The model that `AgentSession` requires; the guide answers in `llm_node` instead."""

    def chat(self, **_options: Any) -> llm.LLMStream:
        """Refuse: the agent never calls this.

        Raises:
            NotSupportedError: Always.
        """
        raise NotSupportedError("chat()", "the offline guide (it answers in llm_node)")


class EspeakTTS(tts.TTS[Never]):
    """The voice that `AgentSession` requires; espeak-ng speaks in `tts_node` instead."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False),
            sample_rate=AUDIO_RATE,
            num_channels=1,
        )

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """Refuse: the agent never calls this.

        Raises:
            NotSupportedError: Always.
        """
        raise NotSupportedError("synthesize()", "the offline voice (it speaks in tts_node)")


class FunctionSTT(stt.STT[Never]):
    """A recogniser that calls a function; the session's own VAD finds the turns.

    A turn without words does not count: the agent goes on listening.
    """

    def __init__(self, transcribe: Transcribe) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(streaming=False, interim_results=False),
        )
        self._transcribe = transcribe

    async def _recognize_impl(
        self,
        buffer: AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        text = await self._transcribe(rtc.combine_audio_frames(buffer))
        heard = stt.SpeechData(language=_LANGUAGE, text=text.strip())
        return stt.SpeechEvent(stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[heard])


class GuideAgent(Agent):
    """Answers with the rules of `guide`, speaks with espeak-ng, and commands by the bridge."""

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
            bridge: Sends the commands.
            voice: Speaks the answers.
            executor: Where `voice` works, away from the event loop.
            on_speech: Called after speech that cannot be transcribed.
            thinking_seconds: The pause before each answer.
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
        """Call `on_speech` after a spoken turn without words; the agent does not reply to it.

        Raises:
            StopResponse: If the turn has no words.
        """
        if not (new_message.text_content or "").strip():
            self._on_speech()
            raise StopResponse

    async def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings
    ) -> AsyncGenerator[str, None]:
        """Take the steps of the guide's reply one by one, and report each command's result."""
        await asyncio.sleep(self._thinking_seconds)
        reply = guide.respond(_last_user_text(chat_ctx), self._memory)
        self._memory = reply.memory
        space = ""
        for step in reply.steps:
            yield space + (step.text if isinstance(step, guide.Say) else await self._send(step))
            space = " "

    async def tts_node(
        self, text: AsyncIterable[str], model_settings: ModelSettings
    ) -> AsyncGenerator[rtc.AudioFrame, None]:
        """Speak each sentence as soon as it is complete; the frames carry their mouth shapes."""
        loop = asyncio.get_running_loop()
        async for sentence in sentences(text):
            for frame in await loop.run_in_executor(self._executor, self._speak, sentence):
                yield frame

    def _speak(self, sentence: str) -> list[rtc.AudioFrame]:
        return frames_of(self._voice.speak(sentence))

    async def _send(self, step: guide.Send | guide.ReadPage) -> str:
        if isinstance(step, guide.Send):
            answer = await self._bridge.command({"type": step.command, **step.fields})
            return guide.outcome_text(step, answer.outcome)
        answer = await self._bridge.command(RequestPageContext())
        return guide.page_text(answer.value) if answer else guide.page_outcome_text(answer.outcome)


async def sentences(text: AsyncIterable[str]) -> AsyncGenerator[str, None]:
    """Split a stream of text into sentences, each yielded as soon as its end arrives.

    A chunk that ends like a sentence ends one: the guide's chunks are whole sentences.
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
    """Return a speech as frames at `AUDIO_RATE`, each with the mouth shapes that fall into it."""
    resampler = rtc.AudioResampler(speech.sample_rate, AUDIO_RATE, num_channels=1)
    pcm = bytearray()
    for part in (*resampler.push(bytearray(speech.pcm)), *resampler.flush()):
        pcm += part.data.cast("B")
    size = int(AUDIO_RATE * _FRAME_SECONDS)
    frames: list[rtc.AudioFrame] = []
    for start in range(0, len(pcm) // 2, size):
        samples = bytes(pcm[start * 2 : (start + size) * 2])
        begin, end = start / AUDIO_RATE, (start + size) / AUDIO_RATE
        visemes = tuple(
            Viseme(viseme.at - begin, viseme.shape)
            for viseme in speech.visemes
            if begin <= viseme.at < end
        )
        frames.append(
            rtc.AudioFrame(
                samples, AUDIO_RATE, 1, len(samples) // 2, userdata={VISEMES_KEY: visemes}
            )
        )
    return frames


def _last_user_text(chat_ctx: llm.ChatContext) -> str:
    for item in reversed(chat_ctx.items):
        if item.type == "message" and item.role == "user":
            return item.text_content or ""
    return ""
