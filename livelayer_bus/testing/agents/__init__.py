"""For tests of livekit-agents: an agent in a real room on this machine, with a scripted surface.

Needs livekit-agents and `livelayer-bus[embedded]`; also importable, with a pytest fixture, as
`livekit.plugins.livelayer.testing`.
"""

from __future__ import annotations

from .model import Call, HummingVoice, Prompt, Script, ScriptedModel
from .rehearsal import Rehearsal, rehearse
from .surface import ScriptedSurface

__all__ = [
    "rehearse",
    "Rehearsal",
    "ScriptedSurface",
    "ScriptedModel",
    "Script",
    "Prompt",
    "Call",
    "HummingVoice",
]
