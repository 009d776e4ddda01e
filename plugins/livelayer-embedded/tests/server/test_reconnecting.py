"""Sockets that drop, servers that restart, clients that vanish."""

from __future__ import annotations

import aiohttp
import anyio
import jwt
import pytest
from livekit import rtc
from livekit.protocol.models import ParticipantPermission, TrackSource
from livekit.protocol.rtc import SignalResponse
from livelayer_embedded import EmbeddedServer

from livelayer_bus.testing import PATIENCE

from .conftest import Camera, Join, Member, Microphone, frames, loud

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

MICROPHONE = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
CAMERA = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=True)


async def _reconnected(member: Member) -> None:
    await member.next("reconnected")


async def test_a_dropped_socket_is_resumed_without_losing_anything(
    embedded: EmbeddedServer, enter: Join, room_name: str
) -> None:
    alice, bob = await enter("alice"), await enter("bob")
    await alice.sees("bob")
    async with Microphone() as microphone:
        await alice.me.publish_track(microphone.track, MICROPHONE)
        track = (await bob.next("track_subscribed"))[0]
        sid = alice.me.sid
        embedded.faults.drop_socket(room_name, "alice")
        await alice.next("reconnecting")
        await bob.me.publish_data(b"while away")
        await _reconnected(alice)
        await alice.me.publish_data(b"back")
        assert (await alice.data()).data == b"while away"
        assert (await bob.data()).data == b"back"
        assert alice.me.sid == sid
        assert bob.seen("participant_disconnected") == 0
        assert await loud(track)


async def test_what_happened_while_away_is_known_after_the_resume(
    embedded: EmbeddedServer, enter: Join, room_name: str
) -> None:
    alice, bob = await enter("alice"), await enter("bob")
    await alice.sees("bob")
    embedded.faults.drop_socket(room_name, "alice")
    await alice.next("reconnecting")
    async with Microphone() as microphone:
        await bob.me.publish_track(microphone.track, MICROPHONE)
        await bob.me.set_attributes({"mood": "good"})
        await _reconnected(alice)
        assert await loud((await alice.next("track_subscribed"))[0])
        assert dict(alice.room.remote_participants["bob"].attributes) == {"mood": "good"}


@pytest.mark.parametrize(
    ("scenario", "fresh"),
    [
        (rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT, False),
        (rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT, True),
    ],
    ids=["resume", "full reconnect"],
)
async def test_a_client_that_reconnects_goes_on_publishing(
    join: Join, scenario: rtc.SimulateScenarioKind.ValueType, fresh: bool
) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.sees("bob")
    async with Camera(320, 180) as camera:
        await alice.me.publish_track(camera.track, CAMERA)
        track = (await bob.next("track_subscribed"))[0]
        await frames(track, 3)
        await alice.room.simulate_scenario(scenario)
        await _reconnected(alice)
        if fresh:
            track = (await bob.next("track_subscribed"))[0]
        await frames(track, 5)
        await bob.me.publish_data(b"hello again")
        assert (await alice.data()).data == b"hello again"


async def test_clients_survive_a_server_restart(embedded: EmbeddedServer, enter: Join) -> None:
    alice, bob = await enter("alice"), await enter("bob")
    await alice.sees("bob")
    async with Microphone() as microphone:
        await alice.me.publish_track(microphone.track, MICROPHONE)
        await loud((await bob.next("track_subscribed"))[0])
        url = embedded.url
        await embedded.restart()
        assert embedded.url == url
        await _reconnected(alice)
        await _reconnected(bob)
        assert await loud((await bob.next("track_subscribed"))[0])
        with anyio.fail_after(PATIENCE):
            await alice.sees("bob")
        await bob.me.publish_data(b"after the restart")
        assert (await alice.data()).data == b"after the restart"


async def test_a_vanished_participant_is_noticed(
    embedded: EmbeddedServer, enter: Join, room_name: str
) -> None:
    alice, bob = await enter("alice"), await enter("bob")
    await alice.sees("bob")
    embedded.faults.refuse_joins(1000)
    embedded.faults.vanish(room_name, "bob")
    gone = (await alice.next("participant_disconnected"))[0]
    assert gone.identity == "bob"
    await bob.next("reconnecting")
    await bob.next("disconnected")


async def test_a_client_whose_network_comes_back_joins_anew(
    embedded: EmbeddedServer, enter: Join, room_name: str
) -> None:
    alice, bob = await enter("alice"), await enter("bob")
    await alice.sees("bob")
    embedded.faults.vanish(room_name, "bob")
    await _reconnected(bob)
    await alice.next("participant_disconnected")
    await alice.sees("bob")
    await bob.me.publish_data(b"back")
    assert (await alice.data()).data == b"back"


async def test_refused_joins_are_counted_and_end(embedded: EmbeddedServer, enter: Join) -> None:
    embedded.faults.refuse_joins(100)
    with pytest.raises(rtc.ConnectError):
        await enter("alice")
    assert embedded.faults.statistics().joins_refused > 0
    embedded.faults.refuse_joins(0)
    assert (await enter("alice")).room.isconnected()


async def _refreshed(socket: aiohttp.ClientWebSocketResponse) -> str:
    with anyio.fail_after(PATIENCE):
        while True:
            message = SignalResponse.FromString(await socket.receive_bytes())
            if message.HasField("refresh_token"):
                return message.refresh_token


async def test_a_client_outlives_its_token_with_the_ones_it_is_sent(
    embedded: EmbeddedServer, room_name: str
) -> None:
    token = embedded.token("alice", room_name, ttl=1, attributes={"a": "b"}, kind="agent")
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(f"{embedded.url}/rtc?access_token={token}") as socket,
    ):
        first = await _refreshed(socket)
        permission = ParticipantPermission(
            can_subscribe=True, can_publish_sources=[TrackSource.MICROPHONE], hidden=True
        )
        embedded.rooms.update_participant(
            room_name, "alice", permission=permission, metadata="new", attributes={"c": "d"}
        )
        second = await _refreshed(socket)
    old, fresh = embedded.authority.verify(first), embedded.authority.verify(second)
    assert (old.identity, old.video.room, old.kind) == ("alice", room_name, fresh.kind)
    assert old.permission().can_publish
    assert (fresh.metadata, fresh.attributes) == ("new", {"a": "b", "c": "d"})
    assert fresh.permission() == permission
    claims = jwt.decode(second, options={"verify_signature": False})
    assert claims["exp"] - claims["nbf"] == 600
