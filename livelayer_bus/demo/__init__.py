"""A talking agent that needs no key: an AgentSession with offline parts and a drawn face."""

from __future__ import annotations

from livelayer_bus.demo.errors import DemoAgentFailedError, DemoDependencyError

try:
    from livelayer_bus.demo.access import (
        AGENT_IDENTITY,
        demo_agent_grants,
        demo_agent_token,
    )
    from livelayer_bus.demo.agent import DemoAgent, models_of_this_machine
except ModuleNotFoundError as exc:
    if exc.name is not None and exc.name.split(".")[0] == "livelayer_bus":
        raise
    raise DemoDependencyError(exc.name or "livekit-agents", "it is not installed") from exc
from livelayer_bus.demo.models import ModelChoice, choose_models
from livelayer_bus.demo.script import SCRIPT, ScriptLine

__all__ = [
    "DemoAgent",
    "demo_agent_token",
    "demo_agent_grants",
    "AGENT_IDENTITY",
    "ModelChoice",
    "choose_models",
    "models_of_this_machine",
    "SCRIPT",
    "ScriptLine",
    "DemoAgentFailedError",
    "DemoDependencyError",
]
