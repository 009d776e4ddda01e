"""The agent's side: any `AgentSession` of livekit-agents as a LiveLayer agent.

What is here is also importable as `livekit.plugins.livelayer`, from the distribution
livekit-plugins-livelayer. Needs livekit-agents.
"""

from __future__ import annotations

from .avatar import FaceAvatar
from .bridge import SurfaceBridge
from .collecting import Collection
from .custom import CustomCommand
from .errors import (
    CapabilityNotGrantedError,
    CollectionBusyError,
    CollectionEndedError,
    CommandNameError,
)
from .fields import Field, FieldKind
from .inbound import is_person
from .outcome import Answer, Outcome
from .statistics import BridgeStatistics
from .video import FaceVideo

__all__ = [
    "SurfaceBridge",
    "BridgeStatistics",
    "is_person",
    "FaceAvatar",
    "FaceVideo",
    # What became of a command
    "Answer",
    "Outcome",
    "CustomCommand",
    # Collecting fields
    "Collection",
    "Field",
    "FieldKind",
    # Errors
    "CapabilityNotGrantedError",
    "CommandNameError",
    "CollectionBusyError",
    "CollectionEndedError",
]
