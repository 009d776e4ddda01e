"""The server APIs, called with the real `livekit-api` client, on both kinds of server."""

from __future__ import annotations

import datetime
import io
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import anyio
import pytest
from google.protobuf.message import Message
from livekit import api, rtc
from livekit.protocol import agent_dispatch, room
from livekit.protocol.models import DisconnectReason, ParticipantPermission

from livelayer_bus.embedded import EmbeddedServer

from .conftest import Embedded, Join, Microphone, Server

pytestmark = pytest.mark.anyio

DAY = datetime.timedelta(days=1)


@dataclass
class BackEnd:
    """A back end with the server's keys."""

    url: str
    key: str
    secret: str = field(repr=False)
    client: api.LiveKitAPI

    def token(self, ttl: datetime.timedelta = DAY, **grants: Any) -> str:
        token = api.AccessToken(self.key, self.secret).with_identity("back end").with_ttl(ttl)
        return token.with_grants(api.VideoGrants(**grants)).to_jwt()

    async def post(
        self, method: str, token: str, body: bytes | Message = b"", **options: Any
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a raw request."""
        data = io.BytesIO(body.SerializeToString() if isinstance(body, Message) else body)
        headers = {"Content-Type": options.pop("kind", "application/protobuf")}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        url = f"{self.url.replace('ws', 'http', 1)}/twirp/livekit.{method}"
        verb = options.pop("verb", "POST")
        async with (
            aiohttp.ClientSession() as session,
            session.request(verb, url, data=data, headers=headers) as answer,
        ):
            text = answer.content_type == "application/json"
            return answer.status, await answer.json() if text else {}


@pytest.fixture
async def back_end(server: Server) -> AsyncIterator[BackEnd]:
    """A back end of either server."""
    if isinstance(server, Embedded):
        key, secret = server.server.key, server.server.secret
    else:
        key, secret = os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"]
    async with api.LiveKitAPI(server.url, key, secret) as client:
        yield BackEnd(server.url, key, secret, client)


@pytest.fixture
async def own(embedded: EmbeddedServer) -> AsyncIterator[BackEnd]:
    """A back end of an embedded server."""
    async with api.LiveKitAPI(embedded.url, embedded.key, embedded.secret) as client:
        yield BackEnd(embedded.url, embedded.key, embedded.secret, client)


async def error_of(call: Any) -> api.TwirpError:
    """The error that a call ends in."""
    with pytest.raises(api.TwirpError) as caught:
        await call
    return caught.value


# Rooms -------------------------------------------------------------------------------------


async def test_a_room_is_made_listed_and_deleted(back_end: BackEnd, room_name: str) -> None:
    rooms = back_end.client.room
    made = await rooms.create_room(
        api.CreateRoomRequest(
            name=room_name, metadata="hello", empty_timeout=77, max_participants=3
        )
    )
    assert made.sid.startswith("RM_")
    listed = await rooms.list_rooms(api.ListRoomsRequest(names=[room_name]))
    assert [(item.sid, item.metadata, item.empty_timeout) for item in listed.rooms] == [
        (made.sid, "hello", 77)
    ]
    assert listed.rooms[0].max_participants == 3
    everything = await rooms.list_rooms(api.ListRoomsRequest())
    assert made.sid in {item.sid for item in everything.rooms}
    await rooms.delete_room(api.DeleteRoomRequest(room=room_name))
    assert not (await rooms.list_rooms(api.ListRoomsRequest(names=[room_name]))).rooms


async def test_making_a_room_again_leaves_it_as_it_is(back_end: BackEnd, room_name: str) -> None:
    rooms = back_end.client.room
    first = await rooms.create_room(api.CreateRoomRequest(name=room_name, metadata="one"))
    again = await rooms.create_room(api.CreateRoomRequest(name=room_name, metadata="two"))
    assert (again.sid, again.metadata) == (first.sid, "one")


async def test_deleting_a_room_sends_everyone_home(
    back_end: BackEnd, join: Join, room_name: str
) -> None:
    alice = await join("alice")
    await back_end.client.room.delete_room(api.DeleteRoomRequest(room=room_name))
    assert (await alice.next("disconnected"))[0] == DisconnectReason.ROOM_DELETED


async def test_deleting_a_room_that_is_not_there_is_not_found(
    back_end: BackEnd, room_name: str
) -> None:
    error = await error_of(back_end.client.room.delete_room(api.DeleteRoomRequest(room=room_name)))
    assert (error.status, error.code) == (404, api.TwirpErrorCode.NOT_FOUND)


async def test_room_metadata_reaches_the_room(
    back_end: BackEnd, join: Join, room_name: str
) -> None:
    alice = await join("alice")
    request = api.UpdateRoomMetadataRequest(room=room_name, metadata="welcome")
    changed = await back_end.client.room.update_room_metadata(request)
    assert changed.metadata == "welcome"
    await alice.next("room_metadata_changed")
    assert alice.room.metadata == "welcome"


async def test_too_much_metadata_is_an_invalid_argument(back_end: BackEnd, room_name: str) -> None:
    await back_end.client.room.create_room(api.CreateRoomRequest(name=room_name))
    request = api.UpdateRoomMetadataRequest(room=room_name, metadata="x" * 70_000)
    error = await error_of(back_end.client.room.update_room_metadata(request))
    assert (error.status, error.code) == (400, api.TwirpErrorCode.INVALID_ARGUMENT)


# Participants ------------------------------------------------------------------------------


async def test_participants_are_listed_and_found(
    back_end: BackEnd, join: Join, room_name: str
) -> None:
    await join("alice", name="Alice", metadata="m", attributes={"hat": "red"})
    bob = await join("bob")
    await bob.sees("alice")
    rooms = back_end.client.room
    listed = await rooms.list_participants(api.ListParticipantsRequest(room=room_name))
    assert {item.identity for item in listed.participants} == {"alice", "bob"}
    alice = await rooms.get_participant(
        api.RoomParticipantIdentity(room=room_name, identity="alice")
    )
    assert (alice.name, alice.metadata, dict(alice.attributes)) == ("Alice", "m", {"hat": "red"})
    assert alice.state == api.ParticipantInfo.ACTIVE


async def test_who_is_not_there_is_not_found(back_end: BackEnd, join: Join, room_name: str) -> None:
    await join("alice")
    rooms = back_end.client.room
    nobody = api.RoomParticipantIdentity(room=room_name, identity="nobody")
    update = api.UpdateParticipantRequest(room=room_name, identity="nobody", name="x")
    for call in (
        rooms.get_participant(nobody),
        rooms.remove_participant(nobody),
        rooms.update_participant(update),
    ):
        error = await error_of(call)
        assert (error.status, error.code) == (404, api.TwirpErrorCode.NOT_FOUND)


async def test_a_removed_participant_is_told_why(
    back_end: BackEnd, join: Join, room_name: str
) -> None:
    alice = await join("alice")
    await back_end.client.room.remove_participant(
        api.RoomParticipantIdentity(room=room_name, identity="alice")
    )
    assert (await alice.next("disconnected"))[0] == DisconnectReason.PARTICIPANT_REMOVED


async def test_name_metadata_and_attributes_are_changed_from_outside(
    back_end: BackEnd, join: Join, room_name: str
) -> None:
    await join("alice", metadata="old", attributes={"hat": "red", "mood": "good"})
    bob = await join("bob")
    await bob.sees("alice")
    request = api.UpdateParticipantRequest(
        room=room_name, identity="alice", name="Alice", attributes={"hat": "", "age": "7"}
    )
    changed = await back_end.client.room.update_participant(request)
    assert (changed.name, changed.metadata) == ("Alice", "old")
    assert dict(changed.attributes) == {"mood": "good", "age": "7"}
    await bob.next("participant_name_changed")
    await bob.next("participant_attributes_changed")
    request = api.UpdateParticipantRequest(room=room_name, identity="alice", metadata="new")
    await back_end.client.room.update_participant(request)
    await bob.next("participant_metadata_changed")
    seen = bob.room.remote_participants["alice"]
    assert (seen.name, seen.metadata) == ("Alice", "new")
    assert dict(seen.attributes) == {"mood": "good", "age": "7"}


async def test_who_loses_the_permission_to_publish_is_heard_no_more(
    back_end: BackEnd, join: Join, room_name: str
) -> None:
    alice, bob = await join("alice"), await join("bob")
    async with Microphone() as microphone:
        await alice.me.publish_track(microphone.track)
        await bob.next("track_subscribed")
        permission = ParticipantPermission(can_subscribe=True, can_publish_data=True)
        changed = await back_end.client.room.update_participant(
            api.UpdateParticipantRequest(room=room_name, identity="alice", permission=permission)
        )
        assert not changed.permission.can_publish
        await bob.next("track_unpublished")


# Tracks and data ---------------------------------------------------------------------------


async def test_a_published_track_is_muted_but_never_unmuted_from_outside(
    back_end: BackEnd, join: Join, room_name: str
) -> None:
    alice, bob = await join("alice"), await join("bob")
    async with Microphone() as microphone:
        published = await alice.me.publish_track(microphone.track)
        await bob.next("track_subscribed")
        request = api.MuteRoomTrackRequest(
            room=room_name, identity="alice", track_sid=published.sid, muted=True
        )
        answer = await back_end.client.room.mute_published_track(request)
        assert (answer.track.sid, answer.track.muted) == (published.sid, True)
        await bob.next("track_muted")
        await alice.next("track_muted")
        request.muted = False
        error = await error_of(back_end.client.room.mute_published_track(request))
        assert (error.status, error.code) == (412, api.TwirpErrorCode.FAILED_PRECONDITION)


async def test_subscriptions_are_changed_from_outside(
    back_end: BackEnd, join: Join, room_name: str
) -> None:
    alice, bob = await join("alice"), await join("bob", options={"auto_subscribe": False})
    async with Microphone() as microphone:
        published = await alice.me.publish_track(microphone.track)
        await bob.next("track_published")
        request = api.UpdateSubscriptionsRequest(
            room=room_name, identity="bob", track_sids=[published.sid], subscribe=True
        )
        await back_end.client.room.update_subscriptions(request)
        assert (await bob.next("track_subscribed"))[1].sid == published.sid
        request.subscribe = False
        await back_end.client.room.update_subscriptions(request)
        # The SDK has no event for a subscription that the server ends; it has one when the track
        # comes again.
        again = api.UpdateSubscriptionsRequest(
            room=room_name,
            identity="bob",
            participant_tracks=[
                api.ParticipantTracks(participant_sid=alice.me.sid, track_sids=[published.sid])
            ],
            subscribe=True,
        )
        await back_end.client.room.update_subscriptions(again)
        assert (await bob.next("track_subscribed"))[1].sid == published.sid


async def test_data_from_a_back_end_reaches_those_it_names(
    back_end: BackEnd, join: Join, room_name: str
) -> None:
    alice, bob = await join("alice"), await join("bob")
    rooms = back_end.client.room
    for_bob = api.SendDataRequest(
        room=room_name,
        data=b"for bob",
        kind=api.DataPacket.RELIABLE,
        destination_identities=["bob"],
        topic="greeting",
    )
    await rooms.send_data(for_bob)
    for_all = api.SendDataRequest(room=room_name, data=b"for all", kind=api.DataPacket.RELIABLE)
    await rooms.send_data(for_all)
    first = await bob.data()
    assert (first.data, first.topic, first.participant) == (b"for bob", "greeting", None)
    assert (await bob.data()).data == b"for all"
    assert (await alice.data()).data == b"for all"


async def test_lossy_data_from_a_back_end_arrives_as_lossy(
    back_end: BackEnd, join: Join, room_name: str
) -> None:
    alice = await join("alice")
    arrived = anyio.Event()
    alice.room.on("data_received", lambda packet: arrived.set())
    request = api.SendDataRequest(room=room_name, data=b"quick", kind=api.DataPacket.LOSSY)
    with anyio.fail_after(15):
        while not arrived.is_set():
            await back_end.client.room.send_data(request)
            # What is sent before the lossy channel is open is lost: that is what lossy means.
            with anyio.move_on_after(0.2):
                await arrived.wait()
    packet = await alice.data()
    assert (packet.data, packet.kind) == (b"quick", rtc.DataPacketKind.KIND_LOSSY)


# Dispatches --------------------------------------------------------------------------------


async def test_a_dispatch_makes_its_room_and_is_listed_until_deleted(
    back_end: BackEnd, room_name: str
) -> None:
    dispatches = back_end.client.agent_dispatch
    made = await dispatches.create_dispatch(
        api.CreateAgentDispatchRequest(agent_name="nobody", room=room_name, metadata="m")
    )
    assert made.id.startswith("AD_")
    found = await dispatches.get_dispatch(made.id, room_name)
    assert found is not None
    assert (found.agent_name, found.room, found.metadata) == ("nobody", room_name, "m")
    # A room whose configuration names no agent also wants one without a name.
    names = {item.agent_name for item in await dispatches.list_dispatch(room_name)}
    assert names == {"", "nobody"}
    deleted = await dispatches.delete_dispatch(made.id, room_name)
    assert deleted.id == made.id
    assert await dispatches.get_dispatch(made.id, room_name) is None
    error = await error_of(dispatches.delete_dispatch(made.id, room_name))
    assert (error.status, error.code) == (404, api.TwirpErrorCode.NOT_FOUND)


async def test_a_room_made_with_agents_wants_those_and_no_others(
    back_end: BackEnd, room_name: str
) -> None:
    agents = [api.RoomAgentDispatch(agent_name=name, metadata=name * 2) for name in "ab"]
    await back_end.client.room.create_room(api.CreateRoomRequest(name=room_name, agents=agents))
    listed = await back_end.client.agent_dispatch.list_dispatch(room_name)
    assert {(item.agent_name, item.metadata) for item in listed} == {("a", "aa"), ("b", "bb")}


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


async def test_a_refused_token_is_told_what_is_wrong_with_it(own: BackEnd) -> None:
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
    with anyio.fail_after(10):
        status, answer = await own.post("RoomService/SendData", own.token(**ADMIN), body)
    assert (status, answer["code"]) == (429, "resource_exhausted")
