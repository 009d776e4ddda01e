"""One live agent session, owned by the application: see `Session`."""

from .outbox import DeliveryStatistics
from .provider import AgentSessionProvider, standalone, use_agent_session
from .session import Session, SessionOptions
from .store import CommandStream, add_handler

__all__ = [
    "Session", "SessionOptions", "CommandStream", "DeliveryStatistics", "AgentSessionProvider",
    "use_agent_session", "standalone", "add_handler",
]  # fmt: skip
