"""LiveLayer for livekit-agents: connects an `AgentSession` with the surfaces in its room.

`SurfaceBridge` is the whole of it; the rest are its parts. Importing this registers the plugin.
"""

from __future__ import annotations

import logging
from typing import Final, final

from livekit.agents import Plugin

from .bridge import SurfaceBridge
from .command_result import Answer, Outcome
from .custom_commands import CustomCommand
from .data_collection import Collection
from .errors import (
    CapabilityNotGrantedError,
    CollectionBusyError,
    CollectionEndedError,
    CommandNameError,
)
from .face_avatar import FaceAvatar
from .face_video import FaceVideo
from .form_fields import Field, FieldKind
from .incoming import is_person
from .statistics import BridgeStatistics
from .version import __version__

__all__ = [
    "SurfaceBridge",
    "BridgeStatistics",
    "is_person",
    "FaceAvatar",
    "FaceVideo",
    "Answer",
    "Outcome",
    "CustomCommand",
    "Collection",
    "Field",
    "FieldKind",
    "CapabilityNotGrantedError",
    "CommandNameError",
    "CollectionBusyError",
    "CollectionEndedError",
    "LiveLayerPlugin",
    "__version__",
]

logger: Final = logging.getLogger(__name__)


@final
class LiveLayerPlugin(Plugin):
    """How livekit-agents lists this plugin; it has no files to download."""

    def __init__(self) -> None:
        super().__init__(__name__, __version__, __package__ or __name__, logger)


# What livekit-agents asks of every plugin; it wants to be imported on the main thread.
Plugin.register_plugin(LiveLayerPlugin())
