"""A LiveKit-protocol server for development and tests, on this machine's loopback only."""

from .faults import Faults, FaultStatistics
from .server import EmbeddedServer
from .sink import Loss

__all__ = ["EmbeddedServer", "FaultStatistics", "Faults", "Loss"]
