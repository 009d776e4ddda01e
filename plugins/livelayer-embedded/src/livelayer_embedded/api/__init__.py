"""The server APIs: RoomService and AgentDispatchService over Twirp."""

from aiohttp import web

from ..agents.dispatcher import Dispatcher
from ..auth import TokenAuthority
from ..rooms import RoomRegistry
from .dispatch_service import dispatch_service
from .room_service import room_service
from .twirp import Twirp

__all__ = ["api_routes"]


def api_routes(
    authority: TokenAuthority, registry: RoomRegistry, dispatcher: Dispatcher
) -> list[web.RouteDef]:
    """The routes of all server APIs."""
    services = (room_service(registry), dispatch_service(registry, dispatcher))
    return Twirp(authority, services).routes()
