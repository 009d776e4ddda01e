"""Tests of your own agent: `pytest_plugins = ["livekit.plugins.livelayer.testing"]`.

The fixture `livelayer_agent` runs an agent in a real room on this machine, with a `SurfaceBridge`
and a scripted surface, and ends everything after the test. `run_agent` is the same as an
`async with` block. Needs livekit-plugins-livelayer[testing].
"""

from importlib.util import find_spec

if find_spec("livelayer_embedded") is None or find_spec("pytest") is None:
    raise ImportError(
        "livekit.plugins.livelayer.testing needs an extra: "
        "pip install 'livekit-plugins-livelayer[testing]'"
    )

from .harness import AgentHarness, StartAgent, livelayer_agent, run_agent
from .model import Call, FakeTTS, Prompt, Script, ScriptedModel
from .surface import ScriptedSurface

__all__ = [
    "livelayer_agent", "StartAgent", "run_agent", "AgentHarness", "ScriptedSurface",
    "ScriptedModel", "Script", "Prompt", "Call", "FakeTTS",
]  # fmt: skip
