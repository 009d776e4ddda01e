"""A LiveKit-protocol server for development and tests, on this machine's loopback only."""

from .down_track import Loss
from .faults import Faults, FaultStatistics
from .server import EmbeddedServer

__all__ = ["EmbeddedServer", "FaultStatistics", "Faults", "Loss"]
