"""What the server APIs refuse and how: grants, tokens, routes, bodies, and what is not there."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from google.protobuf.message import Message
from livekit import api
from livekit.protocol import agent_dispatch, room

from livelayer_bus.testing import PATIENCE

from ..conftest import Join
from .conftest import DAY, BackEnd, error_of

pytestmark = pytest.mark.anyio


# Who may do what ---------------------------------------------------------------------------

ADMIN: dict[str, Any] = {"room_admin": True, "room": "here"}
NOT_ALLOWED: list[tuple[str, Message, dict[str, Any]]] = [
    ("RoomService/CreateRoom", room.CreateRoomRequest(name="here"), ADMIN),
    ("RoomService/DeleteRoom", room.DeleteRoomRequest(room="here"), ADMIN),
    ("RoomService/ListRooms", room.ListRoomsRequest(), {"room_create": True}),
    ("RoomService/ListParticipants", room.ListParticipantsRequest(room="there"), ADMIN),
    ("RoomService/GetParticipant", room.RoomParticipantIdentity(room="there"), ADMIN),
    ("RoomService/RemoveParticipant", room.RoomParticipantIdentity(room="there"), ADMIN),
    ("RoomService/MutePublishedTrack", room.MuteRoomTrackRequest(room="there"), ADMIN),
    ("RoomService/UpdateParticipant", room.UpdateParticipantRequest(room="there"), ADMIN),
    ("RoomService/UpdateSubscriptions", room.UpdateSubscriptionsRequest(room="there"), ADMIN),
    ("RoomService/SendData", room.SendDataRequest(room="there"), ADMIN),
    ("RoomService/SendData", room.SendDataRequest(room="x"), {"room_join": True, "room": "x"}),
    ("RoomService/UpdateRoomMetadata", room.UpdateRoomMetadataRequest(room="there"), ADMIN),
    (
        "AgentDispatchService/CreateDispatch",
        agent_dispatch.CreateAgentDispatchRequest(room="there"),
        ADMIN,
    ),
    (
        "AgentDispatchService/DeleteDispatch",
        agent_dispatch.DeleteAgentDispatchRequest(room="there"),
        ADMIN,
    ),
    (
        "AgentDispatchService/ListDispatch",
        agent_dispatch.ListAgentDispatchRequest(room="there"),
        ADMIN,
    ),
]


@pytest.mark.parametrize(("method", "request_", "grants"), NOT_ALLOWED)
async def test_a_token_without_the_grant_is_unauthenticated(
    back_end: BackEnd, method: str, request_: Message, grants: dict[str, Any]
) -> None:
    status, answer = await back_end.post(method, back_end.token(**grants), request_)
    assert (status, answer["code"]) == (401, "unauthenticated")
    assert answer["msg"].startswith("permissions denied")


async def test_no_token_a_foreign_one_and_an_expired_one_are_refused(back_end: BackEnd) -> None:
    strangers = [
        "",
        "nonsense",
        api.AccessToken(back_end.key, "x" * 40)
        .with_grants(api.VideoGrants(room_list=True))
        .to_jwt(),
        api.AccessToken("other", back_end.secret)
        .with_grants(api.VideoGrants(room_list=True))
        .to_jwt(),
        back_end.token(ttl=-DAY, room_list=True),
    ]
    for token in strangers:
        status, _ = await back_end.post("RoomService/ListRooms", token)
        assert status == 401
    status, _ = await back_end.post("RoomService/ListRooms", back_end.token(room_list=True))
    assert status == 200


async def test_a_refused_token_is_answered_with_the_reason(own: BackEnd) -> None:
    expired = await own.post("RoomService/ListRooms", own.token(ttl=-DAY, room_list=True))
    assert expired == (401, {"code": "unauthenticated", "msg": "it has expired"})


# Twirp -------------------------------------------------------------------------------------


async def test_json_bodies_are_served_too(back_end: BackEnd, room_name: str) -> None:
    status, answer = await back_end.post(
        "RoomService/CreateRoom",
        back_end.token(room_create=True),
        f'{{"name": "{room_name}", "emptyTimeout": 77}}'.encode(),
        kind="application/json",
    )
    assert status == 200
    assert (answer["name"], answer["empty_timeout"]) == (room_name, 77)
    assert answer["num_participants"] == 0


async def test_wrong_routes_and_bodies_are_errors_in_json(back_end: BackEnd) -> None:
    token = back_end.token(room_create=True)
    malformed = await back_end.post("RoomService/CreateRoom", token, b"\xff\xff\xff")
    assert (malformed[0], malformed[1]["code"]) == (400, "malformed")
    not_json = await back_end.post("RoomService/CreateRoom", token, b"{", kind="application/json")
    assert (not_json[0], not_json[1]["code"]) == (400, "malformed")
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("RoomService/NoSuchMethod", {}),
        ("RoomService/CreateRoom", {"verb": "GET"}),
        ("RoomService/CreateRoom", {"kind": "text/plain"}),
    ]
    for method, options in wrong:
        status, answer = await back_end.post(method, token, **options)
        assert (status, answer["code"]) == (404, "bad_route")


async def test_every_method_the_protocol_knows_has_an_answer(own: BackEnd) -> None:
    token = own.token(room_admin=True, room="", room_create=True, room_list=True)
    services = [
        room.DESCRIPTOR.services_by_name["RoomService"],
        agent_dispatch.DESCRIPTOR.services_by_name["AgentDispatchService"],
    ]
    codes = {
        method.name: (await own.post(f"{service.name}/{method.name}", token))[1].get("code")
        for service in services
        for method in service.methods
    }
    assert len(codes) == 17
    assert set(codes.values()) <= {
        None,
        "not_found",
        "invalid_argument",
        "unimplemented",
        "failed_precondition",
    }
    assert {name for name, code in codes.items() if code == "unimplemented"} == {
        "ForwardParticipant",
        "MoveParticipant",
        "PerformRpc",
    }


async def test_what_the_embedded_server_lacks_is_said_to_be_unimplemented(own: BackEnd) -> None:
    forward = api.ForwardParticipantRequest(room="a", identity="x", destination_room="b")
    for call in (
        own.client.room.forward_participant(forward),
        own.client.egress.list_egress(api.ListEgressRequest()),
    ):
        error = await error_of(call)
        assert (error.status, error.code) == (501, api.TwirpErrorCode.UNIMPLEMENTED)


async def test_a_room_without_a_name_is_an_invalid_argument(own: BackEnd) -> None:
    error = await error_of(own.client.room.create_room(api.CreateRoomRequest()))
    assert (error.status, error.code) == (400, api.TwirpErrorCode.INVALID_ARGUMENT)


async def test_tracks_and_rooms_that_are_not_there_are_not_found(
    own: BackEnd, enter: Join, room_name: str
) -> None:
    await enter("alice")
    rooms = own.client.room
    mute = api.MuteRoomTrackRequest(
        room=room_name, identity="alice", track_sid="TR_none", muted=True
    )
    subscribe = api.UpdateSubscriptionsRequest(
        room=room_name, identity="alice", track_sids=["TR_none"], subscribe=True
    )
    for call in (
        rooms.mute_published_track(mute),
        rooms.update_subscriptions(subscribe),
        rooms.send_data(api.SendDataRequest(room="elsewhere", data=b"x")),
        own.client.agent_dispatch.list_dispatch("elsewhere"),
    ):
        error = await error_of(call)
        assert (error.status, error.code) == (404, api.TwirpErrorCode.NOT_FOUND)


async def test_a_huge_body_is_refused(own: BackEnd) -> None:
    body = room.SendDataRequest(room="here", data=bytes(2 << 20))
    with anyio.fail_after(PATIENCE):
        status, answer = await own.post("RoomService/SendData", own.token(**ADMIN), body)
    assert (status, answer["code"]) == (429, "resource_exhausted")
