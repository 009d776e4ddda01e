"""`livekit.RoomService` and `livekit.AgentDispatchService`: rooms and agents from a back end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from aiohttp import web
from livekit.protocol import agent_dispatch, models, room

from ..agents.dispatcher import Dispatcher
from ..auth import TokenAuthority
from ..errors import ServerRequestError
from ..registry import RoomRegistry
from .twirp import Method, Twirp

NONCE = 16  # bytes
MAX_NAME = 256  # characters of a room's or a participant's name
MAX_METADATA = 64_000  # bytes of metadata, or of all attributes together


def check_name(name: str) -> None:
    """Refuse a name that is too long."""
    if len(name) > MAX_NAME:
        raise ServerRequestError("invalid_argument", f"name length exceeds limits: {MAX_NAME}")


def check_metadata(metadata: str) -> None:
    """Refuse metadata that is too large."""
    if len(metadata.encode()) > MAX_METADATA:
        raise ServerRequestError(
            "invalid_argument", f"metadata size exceeds limits: {MAX_METADATA} bytes"
        )


def check_attributes(attributes: Mapping[str, str]) -> None:
    """Refuse attributes that are too large together."""
    size = sum(len(key.encode()) + len(value.encode()) for key, value in attributes.items())
    if size > MAX_METADATA:
        raise ServerRequestError(
            "invalid_argument", f"attributes size exceeds limits: {MAX_METADATA} bytes"
        )


def api_routes(
    authority: TokenAuthority, registry: RoomRegistry, dispatcher: Dispatcher
) -> list[web.RouteDef]:
    """The routes of all server APIs."""
    services = {
        "livekit.RoomService": _room_methods(registry),
        "livekit.AgentDispatchService": _dispatch_methods(registry, dispatcher),
    }
    return Twirp(authority, services).routes()


def _room_methods(registry: RoomRegistry) -> dict[str, Method]:
    def create_room(request: room.CreateRoomRequest) -> models.Room:
        check_name(request.name)
        check_metadata(request.metadata)
        for dispatch in request.agents:
            check_metadata(dispatch.metadata)
            check_attributes(dispatch.attributes)
        existing = registry.list_rooms([request.name])
        if existing:
            # An existing room stays as it is, as on a LiveKit server.
            return existing[0].info()
        return registry.create_room(
            request.name,
            empty_timeout=request.empty_timeout,
            departure_timeout=request.departure_timeout,
            max_participants=request.max_participants,
            metadata=request.metadata,
            config=room.RoomConfiguration(agents=request.agents) if request.agents else None,
        ).info()

    def list_rooms(request: room.ListRoomsRequest) -> room.ListRoomsResponse:
        rooms = registry.list_rooms(request.names)
        return room.ListRoomsResponse(rooms=[found.info() for found in rooms])

    def delete_room(request: room.DeleteRoomRequest) -> room.DeleteRoomResponse:
        registry.delete_room(request.room)
        return room.DeleteRoomResponse()

    def list_participants(request: room.ListParticipantsRequest) -> room.ListParticipantsResponse:
        members = [
            member.info()
            for found in registry.list_rooms([request.room])
            for member in found.participants.values()
        ]
        return room.ListParticipantsResponse(participants=members)

    def remove_participant(request: room.RoomParticipantIdentity) -> room.RemoveParticipantResponse:
        registry.remove_participant(request.room, request.identity)
        return room.RemoveParticipantResponse()

    def mute_published_track(request: room.MuteRoomTrackRequest) -> room.MuteRoomTrackResponse:
        if not request.muted:
            # The default of LiveKit servers: a back end cannot unmute a microphone.
            registry.get_participant(request.room, request.identity)
            raise ServerRequestError("failed_precondition", "remote unmute not enabled")
        track = registry.mute_track(
            request.room, request.identity, request.track_sid, request.muted
        )
        return room.MuteRoomTrackResponse(track=track)

    def update_participant(request: room.UpdateParticipantRequest) -> models.ParticipantInfo:
        check_name(request.name)
        check_metadata(request.metadata)
        check_attributes(request.attributes)
        return registry.update_participant(
            request.room,
            request.identity,
            metadata=request.metadata or None,
            name=request.name or None,
            attributes=request.attributes,
            permission=request.permission if request.HasField("permission") else None,
        )

    def update_subscriptions(
        request: room.UpdateSubscriptionsRequest,
    ) -> room.UpdateSubscriptionsResponse:
        groups = (request.track_sids, *(item.track_sids for item in request.participant_tracks))
        sids = dict.fromkeys(sid for group in groups for sid in group)
        registry.update_subscriptions(request.room, request.identity, sids, request.subscribe)
        return room.UpdateSubscriptionsResponse()

    def send_data(request: room.SendDataRequest) -> room.SendDataResponse:
        if len(request.nonce) not in (0, NONCE):
            raise ServerRequestError(
                "invalid_argument",
                f"nonce should be {NONCE} bytes or not present, got {len(request.nonce)} bytes",
            )
        packet = models.DataPacket(
            kind=request.kind,
            destination_identities=request.destination_identities,
            user=models.UserPacket(
                payload=request.data,
                destination_sids=request.destination_sids,
                destination_identities=request.destination_identities,
                nonce=request.nonce,
            ),
        )
        if request.HasField("topic"):
            packet.user.topic = request.topic
        registry.get_room(request.room).send_data(
            packet,
            reliable=request.kind == models.DataPacket.RELIABLE,
            identities=request.destination_identities,
            sids=request.destination_sids,
        )
        return room.SendDataResponse()

    def update_room_metadata(request: room.UpdateRoomMetadataRequest) -> models.Room:
        check_metadata(request.metadata)
        return registry.update_room_metadata(request.room, request.metadata)

    return {
        "CreateRoom": Method(room.CreateRoomRequest, create_room, "room_create"),
        "ListRooms": Method(room.ListRoomsRequest, list_rooms, "room_list"),
        "DeleteRoom": Method(room.DeleteRoomRequest, delete_room, "room_create"),
        "ListParticipants": Method(room.ListParticipantsRequest, list_participants),
        "GetParticipant": Method(
            room.RoomParticipantIdentity,
            lambda request: registry.get_participant(request.room, request.identity).info(),
        ),
        "RemoveParticipant": Method(room.RoomParticipantIdentity, remove_participant),
        "MutePublishedTrack": Method(room.MuteRoomTrackRequest, mute_published_track),
        "UpdateParticipant": Method(room.UpdateParticipantRequest, update_participant),
        "UpdateSubscriptions": Method(room.UpdateSubscriptionsRequest, update_subscriptions),
        "SendData": Method(room.SendDataRequest, send_data),
        "UpdateRoomMetadata": Method(room.UpdateRoomMetadataRequest, update_room_metadata),
        "ForwardParticipant": Method(
            room.ForwardParticipantRequest, _unimplemented("forwarding of participants")
        ),
        "MoveParticipant": Method(
            room.MoveParticipantRequest, _unimplemented("moving of participants")
        ),
        "PerformRpc": Method(room.PerformRpcRequest, _unimplemented("RPC from a back end")),
    }


def _dispatch_methods(registry: RoomRegistry, dispatcher: Dispatcher) -> dict[str, Method]:
    def create(request: agent_dispatch.CreateAgentDispatchRequest) -> agent_dispatch.AgentDispatch:
        check_metadata(request.metadata)
        check_attributes(request.attributes)
        wanted = agent_dispatch.RoomAgentDispatch(
            agent_name=request.agent_name,
            metadata=request.metadata,
            restart_policy=request.restart_policy,
            deployment=request.deployment,
            attributes=request.attributes,
        )
        return dispatcher.create_dispatch(registry.create_room(request.room), wanted)

    def delete(request: agent_dispatch.DeleteAgentDispatchRequest) -> agent_dispatch.AgentDispatch:
        return dispatcher.delete_dispatch(registry.get_room(request.room), request.dispatch_id)

    def list_(
        request: agent_dispatch.ListAgentDispatchRequest,
    ) -> agent_dispatch.ListAgentDispatchResponse:
        found = dispatcher.list_dispatches(registry.get_room(request.room), request.dispatch_id)
        return agent_dispatch.ListAgentDispatchResponse(agent_dispatches=found)

    return {
        "CreateDispatch": Method(agent_dispatch.CreateAgentDispatchRequest, create),
        "DeleteDispatch": Method(agent_dispatch.DeleteAgentDispatchRequest, delete),
        "ListDispatch": Method(agent_dispatch.ListAgentDispatchRequest, list_),
    }


def _unimplemented(what: str) -> Callable[[Any], NoReturn]:
    def refuse(request: object) -> NoReturn:
        del request
        raise ServerRequestError("unimplemented", f"the embedded server has no {what}")

    return refuse
