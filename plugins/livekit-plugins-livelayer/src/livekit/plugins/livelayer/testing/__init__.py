"""Tests of your own agent: `pytest_plugins = ["livekit.plugins.livelayer.testing"]`.

The fixture `livelayer_rehearsal` puts an agent into a real room on this machine, with a
`SurfaceBridge` and a scripted surface, and ends everything after the test. `rehearse` is the same
as an `async with` block. Needs livekit-plugins-livelayer[testing].
"""

from __future__ import annotations

from .harness import Rehearsal, rehearse
from .model import Call, HummingVoice, Prompt, Script, ScriptedModel
from .plugin import Rehearse, livelayer_rehearsal
from .surface import ScriptedSurface

__all__ = [
    "livelayer_rehearsal",
    "Rehearse",
    "rehearse",
    "Rehearsal",
    "ScriptedSurface",
    "ScriptedModel",
    "Script",
    "Prompt",
    "Call",
    "HummingVoice",
]
