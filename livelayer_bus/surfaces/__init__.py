"""What shows a session: the `Surface` protocol, mounting, commands and leases.

`livelayer_bus.surfaces.jsonl`, the recording surface, is imported when it is used.
"""

from ..media.publishing import Lease, LeaseStatistics, MediaSource, Publisher
from .commands import COMMAND_TIMEOUT, CommandRouter, RoutedCommand, Target, last_used
from .supervision import MountedSurface, OnFault, Supervisor, SurfaceStatus, mount
from .surface import Surface, SurfaceCommands, SurfaceFunction, SurfacePublisher, SurfaceSession
from .writing import BackgroundWriter

__all__ = [
    # Writing a surface
    "Surface", "SurfaceFunction", "SurfaceSession", "SurfaceCommands", "SurfacePublisher",
    "BackgroundWriter",
    # Mounting one
    "mount", "MountedSurface", "Supervisor", "SurfaceStatus", "OnFault",
    # Commands
    "CommandRouter", "RoutedCommand", "Target", "last_used", "COMMAND_TIMEOUT",
    # Leases
    "Publisher", "MediaSource", "Lease", "LeaseStatistics",
]  # fmt: skip
