"""A recogniser that is an async function: the speech of one turn in, its sentence out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Never, TypeAlias

from livekit import rtc
from livekit.agents import (
    NOT_GIVEN,
    APIConnectOptions,
    LanguageCode,
    NotGivenOr,
    stt,
)
from livekit.agents.utils import AudioBuffer

Transcribe: TypeAlias = Callable[[rtc.AudioFrame], Awaitable[str]]
"""Gets what was said between two silences, as one frame; gives its text, "" if it is no speech."""

_LANGUAGE: Final = LanguageCode("en")


class Recogniser(stt.STT[Never]):
    """Stands where `AgentSession` wants speech to text; the session's own VAD cuts the turns.

    A turn without words is no turn: the agent goes on listening.
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
