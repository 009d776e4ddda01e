"""A talking agent that needs no key: an AgentSession with offline models and a drawn face."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .access import AGENT_IDENTITY, demo_agent_grants, demo_agent_token
    from .agent import DemoAgent
    from .errors import DemoAgentFailedError, DemoDependencyError
    from .models import ModelChoice, choose_models, models_of_this_machine
    from .script import SCRIPT, ScriptLine

__all__ = [
    "DemoAgent", "demo_agent_token", "demo_agent_grants", "AGENT_IDENTITY", "ModelChoice",
    "choose_models", "models_of_this_machine", "SCRIPT", "ScriptLine", "DemoAgentFailedError",
    "DemoDependencyError",
]  # fmt: skip

# livekit-agents takes seconds to import: `livelayer demo` first prints that it is starting.
_MODULE_OF = {
    "DemoAgent": "agent",
    "demo_agent_token": "access",
    "demo_agent_grants": "access",
    "AGENT_IDENTITY": "access",
    "ModelChoice": "models",
    "choose_models": "models",
    "models_of_this_machine": "models",
    "SCRIPT": "script",
    "ScriptLine": "script",
    "DemoAgentFailedError": "errors",
    "DemoDependencyError": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
