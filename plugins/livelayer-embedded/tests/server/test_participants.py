"""Changes of participants and rooms, and every way to leave."""

from __future__ import annotations

import anyio
import pytest
from livekit import rtc
from livekit.protocol.models import ParticipantPermission

from livelayer_bus.testing import PATIENCE

from .conftest import Join, Member, Server

pytestmark = pytest.mark.anyio


async def test_attributes_reach_the_others_and_an_empty_one_is_deleted(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await bob.sees("alice")
    with anyio.fail_after(PATIENCE):
        await alice.me.set_attributes({"mood": "good", "hat": "red"})
    changed, participant = await bob.next("participant_attributes_changed")
    assert changed == {"mood": "good", "hat": "red"}
    assert participant.identity == "alice"
    with anyio.fail_after(PATIENCE):
        await alice.me.set_attributes({"hat": ""})
    await bob.next("participant_attributes_changed")
    assert dict(bob.room.remote_participants["alice"].attributes) == {"mood": "good"}


async def test_metadata_and_name_reach_the_others(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await bob.sees("alice")
    with anyio.fail_after(PATIENCE):
        await alice.me.set_metadata("new")
        await alice.me.set_name("Alice")
    await bob.next("participant_metadata_changed")
    await bob.next("participant_name_changed")
    seen = bob.room.remote_participants["alice"]
    assert (seen.metadata, seen.name) == ("new", "Alice")


async def test_metadata_is_not_changed_without_the_grant(join: Join) -> None:
    alice = await join("alice", can_update_own_metadata=False)
    bob = await join("bob")
    await alice.sees("bob")
    with anyio.fail_after(PATIENCE):
        await alice.me.set_attributes({"mood": "good"})  # the SDK reports no refusal
    await alice.me.publish_data(b"after")
    await bob.data()
    assert dict((await bob.sees("alice")).attributes) == {}


async def test_room_metadata_reaches_everyone(server: Server, join: Join, room_name: str) -> None:
    alice = await join("alice")
    await server.set_room_metadata(room_name, "welcome")
    await alice.next("room_metadata_changed")
    assert alice.room.metadata == "welcome"


async def _left(member: Member) -> int:
    return int((await member.next("disconnected"))[0])


async def test_leaving_is_seen_by_the_others(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.sees("bob")
    await bob.room.disconnect()
    gone = (await alice.next("participant_disconnected"))[0]
    assert gone.identity == "bob"
    assert gone.disconnect_reason == rtc.DisconnectReason.CLIENT_INITIATED


async def test_the_same_identity_replaces_its_older_connection(join: Join) -> None:
    old, bob = await join("alice"), await join("bob")
    await bob.sees("alice")
    new = await join("alice")
    assert await _left(old) == rtc.DisconnectReason.DUPLICATE_IDENTITY
    await bob.next("participant_disconnected")
    await bob.sees("alice")
    await new.me.publish_data(b"still here")
    assert (await bob.data()).data == b"still here"


async def test_a_removed_participant_learns_the_reason(
    server: Server, join: Join, room_name: str
) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.sees("bob")
    await server.kick(room_name, "bob")
    assert await _left(bob) == rtc.DisconnectReason.PARTICIPANT_REMOVED
    assert (await alice.next("participant_disconnected"))[0].identity == "bob"


async def test_a_deleted_room_ends_for_everyone(server: Server, join: Join, room_name: str) -> None:
    alice, bob = await join("alice"), await join("bob")
    await server.delete_room(room_name)
    assert await _left(alice) == rtc.DisconnectReason.ROOM_DELETED
    assert await _left(bob) == rtc.DisconnectReason.ROOM_DELETED


async def test_permissions_can_be_changed_while_joined(
    server: Server, join: Join, room_name: str
) -> None:
    alice, bob = await join("alice"), await join("bob")
    await bob.sees("alice")
    await server.permit(
        room_name, "alice", ParticipantPermission(can_subscribe=True, can_publish_data=False)
    )
    await alice.next("participant_permissions_changed")
    await bob.me.publish_data(b"to alice")
    assert (await alice.data()).data == b"to alice"
    assert not alice.me.permissions.can_publish_data
