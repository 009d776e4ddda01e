"""Which models the demo agent speaks with: the offline parts, or real ones when a key is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

ModelsKind: TypeAlias = Literal["offline", "openai", "livekit-inference"]

OPENAI_PLUGIN: Final = "livekit.plugins.openai"
INFERENCE_LLM: Final = "openai/gpt-4.1-mini"
INFERENCE_STT: Final = "deepgram/nova-3"
INFERENCE_TTS: Final = "cartesia/sonic-3"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The models to use, and one sentence for the user that says which and why."""

    kind: ModelsKind
    message: str


def choose_models(environment: Mapping[str, str], *, openai_plugin_installed: bool) -> ModelChoice:
    """Decide by what is configured; never fails, offline is always possible.

    LiveKit inference needs its own variables: `LIVEKIT_API_KEY` alone says nothing, because the
    demo also uses it for a server of the user's own.

    Args:
        environment: The variables to look at, normally `os.environ`.
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
        "models: none, the offline guide with espeak-ng (set OPENAI_API_KEY, or "
        f"LIVEKIT_INFERENCE_API_KEY and LIVEKIT_INFERENCE_API_SECRET, for real ones){note}",
    )
