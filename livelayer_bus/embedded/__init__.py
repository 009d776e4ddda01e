"""A LiveKit-protocol server for development and tests, on this machine's loopback only."""

from livelayer_bus.embedded.faults import Faults, FaultStatistics
from livelayer_bus.embedded.server import EmbeddedServer
from livelayer_bus.embedded.sink import Loss

__all__ = ["EmbeddedServer", "FaultStatistics", "Faults", "Loss"]
