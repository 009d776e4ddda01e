"""Builds the `AgentSession` and its agent from what was chosen: offline parts, or real models."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final

from livekit.agents import NOT_GIVEN, Agent, AgentSession, inference
from livekit.plugins.livelayer import SurfaceBridge

from .assistant import AssistantAgent
from .brain import EspeakModel, GuideAgent, GuideModel
from .hearing import Recogniser, Transcribe
from .models import INFERENCE_LLM, INFERENCE_STT, INFERENCE_TTS, OPENAI_PLUGIN, ModelsKind
from .speech import Voice

_AWAY_SECONDS: Final = None  # nobody has to keep talking to a demo


@dataclass(frozen=True, slots=True)
class Stage:
    """What an agent is built from: its bridge, its offline voice and where that works, its ears."""

    bridge: SurfaceBridge
    voice: Voice | None
    executor: Executor
    on_speech: Callable[[], None]
    thinking_seconds: float


def build_session(kind: ModelsKind, transcribe: Transcribe | None = None) -> AgentSession[Any]:
    """A session that is not started yet; `transcribe` are the ears of the offline guide."""
    match kind:
        case "offline":
            return _offline(transcribe)
        case "openai":
            return _openai()
        case "livekit-inference":
            return AgentSession(
                llm=INFERENCE_LLM,
                stt=INFERENCE_STT,
                tts=INFERENCE_TTS,
                user_away_timeout=_AWAY_SECONDS,
            )


def build_agent(kind: ModelsKind, stage: Stage) -> Agent:
    """The agent to start the session with."""
    if kind != "offline":
        return AssistantAgent()
    return GuideAgent(
        stage.bridge,
        stage.voice or Voice(),
        stage.executor,
        stage.on_speech,
        thinking_seconds=stage.thinking_seconds,
    )


def _offline(transcribe: Transcribe | None) -> AgentSession[Any]:
    return AgentSession(
        llm=GuideModel(),
        stt=Recogniser(transcribe) if transcribe is not None else NOT_GIVEN,
        tts=EspeakModel(),
        vad=inference.VAD(),
        # The guide judges no words while somebody speaks: voice and silence make the turns.
        turn_handling={"turn_detection": "vad", "preemptive_generation": {"enabled": False}},
        # The guide writes plain text, and the transforms would hold sentences back.
        tts_text_transforms=None,
        user_away_timeout=_AWAY_SECONDS,
    )


def _openai() -> AgentSession[Any]:
    # The plugin is no dependency: it is imported where the choice found it installed.
    plugin: Any = importlib.import_module(OPENAI_PLUGIN)
    return AgentSession(
        llm=plugin.LLM(),
        stt=plugin.STT(),
        tts=plugin.TTS(),
        vad=inference.VAD(),
        user_away_timeout=_AWAY_SECONDS,
    )
