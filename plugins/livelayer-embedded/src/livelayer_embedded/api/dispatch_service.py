"""`livekit.AgentDispatchService`: sending named agents into rooms from a back end."""

from __future__ import annotations

from livekit.protocol.agent_dispatch import (
    AgentDispatch,
    CreateAgentDispatchRequest,
    DeleteAgentDispatchRequest,
    ListAgentDispatchRequest,
    ListAgentDispatchResponse,
    RoomAgentDispatch,
)

from ..agents.dispatcher import Dispatcher
from ..auth import Access
from ..rooms import RoomRegistry
from .limits import check_attributes, check_metadata
from .twirp import Method, Service, require_room_admin


def dispatch_service(registry: RoomRegistry, dispatcher: Dispatcher) -> Service:
    """The service over these rooms and this dispatcher."""
    calls = _DispatchCalls(registry, dispatcher)
    return Service(
        "livekit.AgentDispatchService",
        {
            "CreateDispatch": Method(CreateAgentDispatchRequest, calls.create),
            "DeleteDispatch": Method(DeleteAgentDispatchRequest, calls.delete),
            "ListDispatch": Method(ListAgentDispatchRequest, calls.list_),
        },
    )


class _DispatchCalls:
    """One function a method."""

    def __init__(self, registry: RoomRegistry, dispatcher: Dispatcher) -> None:
        self._registry = registry
        self._dispatcher = dispatcher

    def create(self, access: Access, request: CreateAgentDispatchRequest) -> AgentDispatch:
        require_room_admin(access, request.room)
        check_metadata(request.metadata)
        check_attributes(request.attributes)
        room = self._registry.create_room(request.room)
        dispatch = RoomAgentDispatch(
            agent_name=request.agent_name,
            metadata=request.metadata,
            restart_policy=request.restart_policy,
            deployment=request.deployment,
            attributes=request.attributes,
        )
        return self._dispatcher.create_dispatch(room, dispatch)

    def delete(self, access: Access, request: DeleteAgentDispatchRequest) -> AgentDispatch:
        require_room_admin(access, request.room)
        room = self._registry.get_room(request.room)
        return self._dispatcher.delete_dispatch(room, request.dispatch_id)

    def list_(self, access: Access, request: ListAgentDispatchRequest) -> ListAgentDispatchResponse:
        require_room_admin(access, request.room)
        room = self._registry.get_room(request.room)
        found = self._dispatcher.list_dispatches(room, request.dispatch_id)
        return ListAgentDispatchResponse(agent_dispatches=found)
