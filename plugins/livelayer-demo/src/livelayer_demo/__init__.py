"""A talking agent that needs no key: an AgentSession with offline parts and a drawn face."""

from __future__ import annotations

from .access import AGENT_IDENTITY, demo_agent_grants, demo_agent_token
from .agent import DemoAgent, models_of_this_machine
from .errors import DemoAgentFailedError, DemoDependencyError
from .models import ModelChoice, choose_models
from .script import SCRIPT, ScriptLine

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
