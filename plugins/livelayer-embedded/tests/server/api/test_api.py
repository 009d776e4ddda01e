"""The server APIs, called with the real `livekit-api` client, on both kinds of server."""

from __future__ import annotations

import anyio
import pytest
from livekit import api, rtc
from livekit.protocol.models import DisconnectReason, ParticipantPermission

from livelayer_bus.testing import PATIENCE

from ..conftest import Join, Microphone
from .conftest import BackEnd, error_of

pytestmark = pytest.mark.anyio


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


async def test_a_removed_participant_learns_why(
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


async def test_a_revoked_permission_to_publish_unpublishes(
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
    await alice.sees("bob")
    await bob.sees("alice")
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
    with anyio.fail_after(PATIENCE):
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
