"""LiveLayer for livekit-agents: connects an `AgentSession` with the surfaces in its room.

`SurfaceBridge` is the whole of it; the rest are its parts. Importing this registers the plugin.
"""

from __future__ import annotations

import logging
from typing import Final, final

from livekit.agents import Plugin

from livelayer_bus.agent import (
    Answer,
    BridgeStatistics,
    CapabilityNotGrantedError,
    Collection,
    CollectionBusyError,
    CollectionEndedError,
    CommandNameError,
    CustomCommand,
    FaceAvatar,
    FaceVideo,
    Field,
    FieldKind,
    Outcome,
    SurfaceBridge,
)

from .version import __version__

__all__ = [
    "SurfaceBridge",
    "BridgeStatistics",
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

logger: Final = logging.getLogger("livelayer_bus.agent")


@final
class LiveLayerPlugin(Plugin):
    """How livekit-agents lists this plugin; it has no files to download."""

    def __init__(self) -> None:
        super().__init__(__name__, __version__, __package__ or __name__, logger)


# What livekit-agents asks of every plugin; it wants to be imported on the main thread.
Plugin.register_plugin(LiveLayerPlugin())
