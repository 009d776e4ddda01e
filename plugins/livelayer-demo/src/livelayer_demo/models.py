"""Which models the demo agent uses, the offline ones or real ones, and the session made of them."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec
from livekit.agents import NOT_GIVEN, Agent, AgentSession, inference

from . import guide
from .offline import EspeakTTS, FunctionSTT, GuideLLM, Transcribe
from .topics import NAME

ModelsKind: TypeAlias = Literal["offline", "openai", "livekit-inference"]

OPENAI_PLUGIN: Final = "livekit.plugins.openai"
INFERENCE_LLM: Final = "openai/gpt-4.1-mini"
INFERENCE_STT: Final = "deepgram/nova-3"
INFERENCE_TTS: Final = "cartesia/sonic-3"

_INSTRUCTIONS: Final = f"""You are {NAME}, the friendly voice guide of livelayer-bus, a Python
library that keeps one live agent session and shares it with any number of surfaces (web pages,
terminals, recorders) that mount and unmount while the session runs. Answer in one or two short
spoken sentences, without lists or markup. Use the tools when you are asked to do something on the
page, and report truthfully what they return. The page has one form, {guide.FORM_ID!r}, with a field
'name'."""


class ModelChoice(msgspec.Struct, frozen=True):
    """The models to use, and one sentence that tells the user which and why."""

    kind: ModelsKind
    message: str


def choose_models(environment: Mapping[str, str], *, openai_plugin_installed: bool) -> ModelChoice:
    """Choose the models by what is configured; offline is always possible.

    LiveKit inference has variables of its own: `LIVEKIT_API_KEY` alone does not choose it, because
    the demo also uses that key for the user's own server.

    Args:
        environment: The variables, normally `os.environ`.
        openai_plugin_installed: Whether `livekit-plugins-openai` can be imported.
    """
    note = ""
    if environment.get("OPENAI_API_KEY"):
        if openai_plugin_installed:
            return ModelChoice("openai", "models: OpenAI (OPENAI_API_KEY is set)")
        note = "; OPENAI_API_KEY is set, but livekit-plugins-openai is not installed"
    if environment.get("LIVEKIT_INFERENCE_API_KEY") and environment.get(
        "LIVEKIT_INFERENCE_API_SECRET"
    ):
        return ModelChoice(
            "livekit-inference",
            f"models: LiveKit inference (LIVEKIT_INFERENCE_API_KEY is set){note}",
        )
    return ModelChoice(
        "offline",
        "models: the offline guide with espeak-ng (set OPENAI_API_KEY, or "
        f"LIVEKIT_INFERENCE_API_KEY and LIVEKIT_INFERENCE_API_SECRET, for real ones){note}",
    )


def models_of_this_machine() -> ModelChoice:
    """Choose the models by this process's environment and packages (`choose_models`)."""
    try:
        installed = importlib.util.find_spec(OPENAI_PLUGIN) is not None
    except ModuleNotFoundError:
        installed = False
    return choose_models(os.environ, openai_plugin_installed=installed)


def build_session(kind: ModelsKind, transcribe: Transcribe | None = None) -> AgentSession[Any]:
    """Return a session that is not started yet.

    Args:
        kind: The models to use.
        transcribe: Speech to text for the offline guide; None: it asks to type.
    """
    away = None  # a demo does not end because the user is silent
    match kind:
        case "offline":
            return AgentSession(
                llm=GuideLLM(),
                stt=FunctionSTT(transcribe) if transcribe is not None else NOT_GIVEN,
                tts=EspeakTTS(),
                vad=inference.VAD(),
                # The guide does not judge words during speech: voice and silence make the turns.
                turn_handling={
                    "turn_detection": "vad",
                    "preemptive_generation": {"enabled": False},
                },
                # The guide writes plain text, and the transforms would delay sentences.
                tts_text_transforms=None,
                user_away_timeout=away,
            )
        case "openai":
            # Not a dependency: imported only where `choose_models` found it installed.
            openai: Any = importlib.import_module(OPENAI_PLUGIN)
            llm, stt, tts = openai.LLM(), openai.STT(), openai.TTS()
            return AgentSession(
                llm=llm, stt=stt, tts=tts, vad=inference.VAD(), user_away_timeout=away
            )
        case "livekit-inference":
            llm, stt, tts = INFERENCE_LLM, INFERENCE_STT, INFERENCE_TTS
            return AgentSession(llm=llm, stt=stt, tts=tts, user_away_timeout=away)


def model_agent() -> Agent:
    """Return the agent of a real model; the bridge gives it its tools."""
    return Agent(instructions=_INSTRUCTIONS)
