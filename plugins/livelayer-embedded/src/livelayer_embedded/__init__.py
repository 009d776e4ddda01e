"""A LiveKit-protocol server for development and tests, on this machine's loopback only."""

from .faults import Faults, FaultStatistics
from .relay import Loss
from .server import EmbeddedServer

__all__ = ["EmbeddedServer", "FaultStatistics", "Faults", "Loss"]
