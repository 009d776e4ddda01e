"""Which models are chosen, and that the user is told."""

from __future__ import annotations

import pytest
from livelayer_demo import choose_models
from livelayer_demo.models import ModelsKind

INFERENCE = {"LIVEKIT_INFERENCE_API_KEY": "key", "LIVEKIT_INFERENCE_API_SECRET": "hidden"}


@pytest.mark.parametrize(
    ("environment", "plugin", "kind"),
    [
        ({}, True, "offline"),
        ({"OPENAI_API_KEY": ""}, True, "offline"),
        ({"OPENAI_API_KEY": "hidden"}, True, "openai"),
        ({"OPENAI_API_KEY": "hidden"}, False, "offline"),
        (INFERENCE, False, "livekit-inference"),
        ({**INFERENCE, "OPENAI_API_KEY": "hidden"}, True, "openai"),
        ({**INFERENCE, "OPENAI_API_KEY": "hidden"}, False, "livekit-inference"),
        ({"LIVEKIT_INFERENCE_API_KEY": "key"}, False, "offline"),
        ({"LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "hidden"}, True, "offline"),
    ],
)
def test_the_choice_follows_the_keys(
    environment: dict[str, str], plugin: bool, kind: ModelsKind
) -> None:
    choice = choose_models(environment, openai_plugin_installed=plugin)
    assert choice.kind == kind
    assert "hidden" not in choice.message


def test_a_key_that_cannot_be_used_is_mentioned() -> None:
    choice = choose_models({"OPENAI_API_KEY": "hidden"}, openai_plugin_installed=False)
    assert "livekit-plugins-openai is not installed" in choice.message
