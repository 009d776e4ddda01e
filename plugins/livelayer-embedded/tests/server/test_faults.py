"""Faults on demand do what they say, and nothing else."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from livekit import rtc
from livelayer_embedded import EmbeddedServer
from livelayer_embedded.errors import ServerRequestError

from livelayer_bus.testing import PATIENCE, settle

from .conftest import Camera, Join, frames

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_picture_survives_the_loss_of_packets(
    embedded: EmbeddedServer, enter: Join, room_name: str
) -> None:
    alice, bob = await enter("alice"), await enter("bob")
    loss = embedded.faults.lose_rtp(room_name, "bob", 0.1, seed=7)
    async with Camera(640, 360) as camera:
        await alice.me.publish_track(camera.track, rtc.TrackPublishOptions(simulcast=False))
        track = (await bob.next("track_subscribed"))[0]
        while loss.dropped <= 5:
            await frames(track, 20)
        await frames(track, 20)


async def test_a_stream_whose_trailer_is_lost_never_ends(
    embedded: EmbeddedServer, enter: Join
) -> None:
    alice, bob = await enter("alice"), await enter("bob")
    await alice.sees("bob")
    opened: asyncio.Queue[rtc.TextStreamReader] = asyncio.Queue()
    bob.room.register_text_stream_handler("t", lambda reader, _: opened.put_nowait(reader))
    embedded.faults.lose_stream_trailers(1)
    for text in ("one", "two"):
        writer = await alice.me.stream_text(topic="t")
        await writer.write(text)
        await writer.aclose()
    with anyio.fail_after(PATIENCE):
        first, second = await opened.get(), await opened.get()
        assert await second.read_all() == "two"
        assert await first.__anext__() == "one"
    # The second stream's trailer came; the first one's would have come before it.
    ending = asyncio.ensure_future(first.__anext__())
    await settle()
    assert not ending.done()
    ending.cancel()
    await asyncio.wait([ending])
    assert embedded.faults.statistics().trailers_lost == 1


async def test_data_can_arrive_before_its_sender_is_known(
    embedded: EmbeddedServer, enter: Join, room_name: str
) -> None:
    alice = await enter("alice")
    embedded.faults.data_before_update(room_name)
    bob = await enter("bob")
    await bob.me.publish_data(b"who am I?")
    packet = await alice.data()
    assert (packet.data, packet.participant) == (b"who am I?", None)
    assert (await alice.sees("bob")).identity == "bob"


async def test_datagrams_can_be_delayed(
    embedded: EmbeddedServer, enter: Join, room_name: str
) -> None:
    alice, bob, carol = await enter("alice"), await enter("bob"), await enter("carol")
    for member in (bob, carol):
        await alice.sees(member.name)
    embedded.faults.delay(room_name, "bob", PATIENCE)
    await alice.me.publish_data(b"late")
    assert (await carol.data()).data == b"late"
    assert bob.seen("data_received") == 0
    embedded.faults.delay(room_name, "bob", 0)  # and it is sent again
    assert (await bob.data()).data == b"late"


async def test_an_identity_can_be_taken_over(
    embedded: EmbeddedServer, enter: Join, room_name: str
) -> None:
    alice = await enter("alice")
    embedded.faults.replace(room_name, "alice")
    assert (await alice.next("disconnected"))[0] == rtc.DisconnectReason.DUPLICATE_IDENTITY


async def test_a_fault_for_an_unknown_participant_is_an_error(embedded: EmbeddedServer) -> None:
    with pytest.raises(ServerRequestError, match="no room"):
        embedded.faults.drop_socket("nowhere", "nobody")
