"""The server APIs: RoomService and AgentDispatchService over Twirp."""

from aiohttp import web

from livelayer_bus.embedded.agents.dispatcher import Dispatcher
from livelayer_bus.embedded.api.dispatch_service import dispatch_service
from livelayer_bus.embedded.api.room_service import room_service
from livelayer_bus.embedded.api.twirp import Twirp
from livelayer_bus.embedded.auth import TokenAuthority
from livelayer_bus.embedded.rooms import RoomRegistry

__all__ = ["api_routes"]


def api_routes(
    authority: TokenAuthority, registry: RoomRegistry, dispatcher: Dispatcher
) -> list[web.RouteDef]:
    """The routes of all server APIs."""
    services = (room_service(registry), dispatch_service(registry, dispatcher))
    return Twirp(authority, services).routes()
