"""LiveLayer for livekit-agents: connects an `AgentSession` with the surfaces in its room.

`SurfaceBridge` (bridge.py) is made of these parts, one module each:

    session_observer, status_announcer   what the surfaces learn about the session
    activity                             what they learn about tools, turns and usage
    text_input, replay                   typed lines in, the transcript's tail out
    tools, custom_commands               the commands that the model is offered
    command_requests, command_result     what a surface answers to a command
    approval                             what a person answers to a question
    capabilities                         which commands are allowed now
    page_context, agent_context          what the model learns about the pages
    data_collection, form_fields         fields filled by conversation
    data_channel, data_listeners         packets in and out, the application's handlers
    statistics, errors                   what is counted, what is raised

`face` is the drawn avatar, `testing` the harness for tests of an agent. Importing this package
registers the plugin with livekit-agents.
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Final, final

from livekit.agents import Plugin

from .activity import ToolSharing
from .approval import Approval
from .bridge import SurfaceBridge
from .command_result import Answer, Outcome
from .custom_commands import CustomCommand
from .data_channel import is_person
from .data_collection import DataCollection
from .errors import (
    CapabilityNotGrantedError,
    CollectionBusyError,
    CollectionEndedError,
    CommandNameError,
)
from .face import FaceAvatar, FaceVideo
from .form_fields import Field, FieldKind
from .statistics import BridgeStatistics

__all__ = [
    "SurfaceBridge", "BridgeStatistics", "is_person", "FaceAvatar", "FaceVideo", "Answer",
    "Approval", "ToolSharing", "Outcome", "CustomCommand", "DataCollection", "Field", "FieldKind",
    "CapabilityNotGrantedError", "CommandNameError", "CollectionBusyError", "CollectionEndedError",
    "LiveLayerPlugin", "__version__",
]  # fmt: skip

__version__: Final = version("livekit-plugins-livelayer")
logger = logging.getLogger(__name__)


@final
class LiveLayerPlugin(Plugin):
    """The entry in livekit-agents' list of plugins; it has no files to download."""

    def __init__(self) -> None:
        super().__init__(__name__, __version__, __package__ or __name__, logger)


# livekit-agents wants every plugin to be registered at import, on the main thread.
Plugin.register_plugin(LiveLayerPlugin())
