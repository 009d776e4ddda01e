"""What shows a session: the `Surface` protocol, mounting, commands and leases."""

from ..media.publishing import Lease, LeaseStatistics, MediaSource, Publisher
from .commands import COMMAND_TIMEOUT, CommandRouter, RoutedCommand, Target, last_used
from .jsonl import BackgroundWriter
from .supervision import MountedSurface, OnFault, Supervisor, SurfaceStatus, mount
from .surface import Surface, SurfaceCommands, SurfaceFunction, SurfacePublisher, SurfaceSession

__all__ = [
    "Surface", "SurfaceFunction", "SurfaceSession", "SurfaceCommands", "SurfacePublisher",
    "BackgroundWriter", "mount", "MountedSurface", "Supervisor", "SurfaceStatus", "OnFault",
    "CommandRouter", "RoutedCommand", "Target", "last_used", "COMMAND_TIMEOUT",
    "Publisher", "MediaSource", "Lease", "LeaseStatistics",
]  # fmt: skip
