"""The server APIs: RoomService and AgentDispatchService over Twirp."""

from .services import api_routes

__all__ = ["api_routes"]
