"""`livekit.RoomService`: rooms, participants, tracks, subscriptions and data from a back end."""

from __future__ import annotations

from collections.abc import Iterable

from livekit.protocol.models import DataPacket, ParticipantInfo, UserPacket
from livekit.protocol.models import Room as RoomInfo
from livekit.protocol.room import (
    CreateRoomRequest,
    DeleteRoomRequest,
    DeleteRoomResponse,
    ForwardParticipantRequest,
    ListParticipantsRequest,
    ListParticipantsResponse,
    ListRoomsRequest,
    ListRoomsResponse,
    MoveParticipantRequest,
    MuteRoomTrackRequest,
    MuteRoomTrackResponse,
    PerformRpcRequest,
    RemoveParticipantResponse,
    RoomConfiguration,
    RoomParticipantIdentity,
    SendDataRequest,
    SendDataResponse,
    UpdateParticipantRequest,
    UpdateRoomMetadataRequest,
    UpdateSubscriptionsRequest,
    UpdateSubscriptionsResponse,
)

from ..auth import Access
from ..errors import AccessDeniedError, ServerRequestError
from ..rooms import RoomRegistry
from .limits import check_attributes, check_metadata, check_name
from .twirp import Method, Service, require_room_admin, unimplemented

NONCE = 16  # bytes


def room_service(registry: RoomRegistry) -> Service:
    """The service over these rooms."""
    calls = _RoomCalls(registry)
    return Service(
        "livekit.RoomService",
        {
            "CreateRoom": Method(CreateRoomRequest, calls.create_room),
            "ListRooms": Method(ListRoomsRequest, calls.list_rooms),
            "DeleteRoom": Method(DeleteRoomRequest, calls.delete_room),
            "ListParticipants": Method(ListParticipantsRequest, calls.list_participants),
            "GetParticipant": Method(RoomParticipantIdentity, calls.get_participant),
            "RemoveParticipant": Method(RoomParticipantIdentity, calls.remove_participant),
            "MutePublishedTrack": Method(MuteRoomTrackRequest, calls.mute_published_track),
            "UpdateParticipant": Method(UpdateParticipantRequest, calls.update_participant),
            "UpdateSubscriptions": Method(UpdateSubscriptionsRequest, calls.update_subscriptions),
            "SendData": Method(SendDataRequest, calls.send_data),
            "UpdateRoomMetadata": Method(UpdateRoomMetadataRequest, calls.update_room_metadata),
            "ForwardParticipant": Method(
                ForwardParticipantRequest, unimplemented("forwarding of participants")
            ),
            "MoveParticipant": Method(
                MoveParticipantRequest, unimplemented("moving of participants")
            ),
            "PerformRpc": Method(PerformRpcRequest, unimplemented("RPC from a back end")),
        },
    )


class _RoomCalls:
    """One function a method; `RoomRegistry` says what is not there."""

    def __init__(self, registry: RoomRegistry) -> None:
        self._registry = registry

    def create_room(self, access: Access, request: CreateRoomRequest) -> RoomInfo:
        if not access.video.room_create:
            raise AccessDeniedError("permissions denied: roomCreate is needed")
        check_name(request.name)
        check_metadata(request.metadata)
        for dispatch in request.agents:
            check_metadata(dispatch.metadata)
            check_attributes(dispatch.attributes)
        existing = self._registry.list_rooms([request.name])
        if existing:
            # A room that is there stays as it is, as on a LiveKit server.
            return existing[0].info()
        config = RoomConfiguration(agents=request.agents) if request.agents else None
        return self._registry.create_room(
            request.name,
            empty_timeout=request.empty_timeout,
            departure_timeout=request.departure_timeout,
            max_participants=request.max_participants,
            metadata=request.metadata,
            config=config,
        ).info()

    def list_rooms(self, access: Access, request: ListRoomsRequest) -> ListRoomsResponse:
        if not access.video.room_list:
            raise AccessDeniedError("permissions denied: roomList is needed")
        rooms = self._registry.list_rooms(request.names)
        return ListRoomsResponse(rooms=[room.info() for room in rooms])

    def delete_room(self, access: Access, request: DeleteRoomRequest) -> DeleteRoomResponse:
        if not access.video.room_create:
            raise AccessDeniedError("permissions denied: roomCreate is needed")
        self._registry.delete_room(request.room)
        return DeleteRoomResponse()

    def list_participants(
        self, access: Access, request: ListParticipantsRequest
    ) -> ListParticipantsResponse:
        require_room_admin(access, request.room)
        answer = ListParticipantsResponse()
        for room in self._registry.list_rooms([request.room]):
            answer.participants.extend(member.info() for member in room.participants.values())
        return answer

    def get_participant(self, access: Access, request: RoomParticipantIdentity) -> ParticipantInfo:
        require_room_admin(access, request.room)
        return self._registry.get_participant(request.room, request.identity).info()

    def remove_participant(
        self, access: Access, request: RoomParticipantIdentity
    ) -> RemoveParticipantResponse:
        require_room_admin(access, request.room)
        self._registry.remove_participant(request.room, request.identity)
        return RemoveParticipantResponse()

    def mute_published_track(
        self, access: Access, request: MuteRoomTrackRequest
    ) -> MuteRoomTrackResponse:
        require_room_admin(access, request.room)
        if not request.muted:
            # The default of LiveKit servers: a back end cannot unmute a microphone.
            self._registry.get_participant(request.room, request.identity)
            raise ServerRequestError("failed_precondition", "remote unmute not enabled")
        track = self._registry.mute_track(
            request.room, request.identity, request.track_sid, request.muted
        )
        return MuteRoomTrackResponse(track=track)

    def update_participant(
        self, access: Access, request: UpdateParticipantRequest
    ) -> ParticipantInfo:
        check_name(request.name)
        check_metadata(request.metadata)
        check_attributes(request.attributes)
        require_room_admin(access, request.room)
        return self._registry.update_participant(
            request.room,
            request.identity,
            metadata=request.metadata or None,
            name=request.name or None,
            attributes=request.attributes,
            permission=request.permission if request.HasField("permission") else None,
        )

    def update_subscriptions(
        self, access: Access, request: UpdateSubscriptionsRequest
    ) -> UpdateSubscriptionsResponse:
        require_room_admin(access, request.room)
        sids = _unique(
            [
                *request.track_sids,
                *(sid for item in request.participant_tracks for sid in item.track_sids),
            ]
        )
        self._registry.update_subscriptions(request.room, request.identity, sids, request.subscribe)
        return UpdateSubscriptionsResponse()

    def send_data(self, access: Access, request: SendDataRequest) -> SendDataResponse:
        require_room_admin(access, request.room)
        if len(request.nonce) not in (0, NONCE):
            raise ServerRequestError(
                "invalid_argument",
                f"nonce should be {NONCE} bytes or not present, got {len(request.nonce)} bytes",
            )
        packet = DataPacket(
            kind=request.kind,
            destination_identities=request.destination_identities,
            user=UserPacket(
                payload=request.data,
                destination_sids=request.destination_sids,
                destination_identities=request.destination_identities,
                nonce=request.nonce,
            ),
        )
        if request.HasField("topic"):
            packet.user.topic = request.topic
        self._registry.get_room(request.room).send_data(
            packet,
            reliable=request.kind == DataPacket.RELIABLE,
            identities=request.destination_identities,
            sids=request.destination_sids,
        )
        return SendDataResponse()

    def update_room_metadata(self, access: Access, request: UpdateRoomMetadataRequest) -> RoomInfo:
        check_metadata(request.metadata)
        require_room_admin(access, request.room)
        return self._registry.update_room_metadata(request.room, request.metadata)


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
