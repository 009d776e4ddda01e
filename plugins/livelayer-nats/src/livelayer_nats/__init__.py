"""Sessions on other machines: their events through NATS JetStream."""

from .bridge import BridgeStatistics, NatsBridge
from .connection import NatsArguments, NatsOptions
from .errors import NatsError, NoOwnerError, NoSuchSessionError, OwnershipLostError
from .ownership import OwnedElsewhereError
from .remote import RemoteSession, RemoteStatistics
from .server import NatsServer, NatsServerNotFoundError, find_server
from .store import Limits
from .takeover import Takeover, take_over
from .wire import UnknownEvent

__all__ = [
    "NatsBridge", "BridgeStatistics", "NatsOptions", "NatsArguments", "Limits",
    "RemoteSession", "RemoteStatistics", "UnknownEvent",
    "take_over", "Takeover",
    "NatsServer", "find_server",
    # Errors
    "NatsError", "NoOwnerError", "NoSuchSessionError", "OwnershipLostError", "OwnedElsewhereError",
    "NatsServerNotFoundError",
]  # fmt: skip
