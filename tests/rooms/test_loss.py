"""Losing the room: which losses are final, whose fault they are, and what the SDK mends itself."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from livekit import api, rtc
from livelayer_embedded import EmbeddedServer

from livelayer_bus.rooms import LiveKitRoom
from livelayer_bus.rooms.errors import room_loss
from livelayer_bus.testing import PATIENCE, silence
from tests.rooms.kit import Joined, Painter, RecordingSink, Stage, new_writers

pytestmark = pytest.mark.anyio


async def loss(sink: RecordingSink) -> tuple[bool, bool]:
    """Wait for the loss; whether a rejoin may help, and whether it is a fault."""
    await sink.until(lambda: bool(sink.losses))
    return sink.losses[0].rejoin, sink.losses[0].fault


async def test_a_second_participant_of_our_identity_is_a_final_fault(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    await stage.join("user")
    assert await loss(sink) == (False, True)
    assert "identity" in sink.losses[0].reason


async def test_being_removed_is_final_but_no_fault(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    async with stage.admin() as admin:
        await admin.room.remove_participant(
            api.RoomParticipantIdentity(room=stage.room, identity="user")
        )
    assert await loss(sink) == (False, False)


async def test_a_deleted_room_is_final_but_no_fault_and_its_tracks_are_gone_first(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    painter = Painter(await stage.agent(), 90)
    await painter.start()
    await sink.saw("track", "video", True, "agent")
    async with stage.admin() as admin:
        await admin.room.delete_room(api.DeleteRoomRequest(room=stage.room))
    assert await loss(sink) == (False, False)
    assert sink.calls.index(("track", "video", False, "agent")) < len(sink.calls) - 1
    assert sink.calls[-1][0] == "lost"
    assert not joined.video.channel.available
    await painter.stop(unpublish=False)
    await joined.room.aclose()


async def test_disconnecting_the_sdk_object_is_reported_as_somebodys_wish(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    native = joined.room.native
    assert native is not None
    await native.disconnect()
    assert await loss(sink) == (False, False)


@pytest.mark.parametrize(
    ("reason", "rejoin", "fault"),
    [
        (rtc.DisconnectReason.DUPLICATE_IDENTITY, False, True),
        (rtc.DisconnectReason.PARTICIPANT_REMOVED, False, False),
        (rtc.DisconnectReason.ROOM_DELETED, False, False),
        (rtc.DisconnectReason.ROOM_CLOSED, False, False),
        (rtc.DisconnectReason.SERVER_SHUTDOWN, True, True),
        (rtc.DisconnectReason.SIGNAL_CLOSE, True, True),
        (rtc.DisconnectReason.CONNECTION_TIMEOUT, True, True),
        (rtc.DisconnectReason.STATE_MISMATCH, True, True),
        (rtc.DisconnectReason.UNKNOWN_REASON, True, True),
        (9999, True, True),
    ],
)
def test_every_reason_of_the_sdk_has_a_meaning(reason: int, rejoin: bool, fault: bool) -> None:
    assert (room_loss(reason).rejoin, room_loss(reason).fault) == (rejoin, fault)


async def test_a_resumed_connection_is_reported_and_goes_on(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    native = joined.room.native
    assert native is not None
    await native.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT)
    await sink.until(lambda: bool(sink.named("reconnecting")))
    await sink.saw("reconnected")
    await agent.local_participant.publish_data(b"after")
    await sink.saw("packet", b"after", "agent", None, True)
    assert not sink.losses


async def test_after_a_full_reconnect_agent_and_picture_are_back(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    painter = Painter(agent, 90)
    await painter.start()
    await sink.saw("track", "video", True, "agent")
    native = joined.room.native
    assert native is not None
    await native.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
    await sink.saw("reconnected")
    pushed = joined.video.channel.statistics().pushed
    with anyio.fail_after(PATIENCE), joined.video.channel.subscribe() as frames:
        async for _ in frames:
            if joined.video.channel.statistics().pushed > pushed + 3:
                break
    await agent.local_participant.publish_data(b"after")
    await sink.saw("packet", b"after", "agent", None, True)
    await painter.stop()


async def test_a_server_that_dies_is_reported_and_closing_stays_bounded(
    sink: RecordingSink,
) -> None:
    async with EmbeddedServer() as server:
        room = LiveKitRoom()
        await room.connect(Stage(server, "", "", "r").access(), sink, new_writers()[2])
        await server.stop()
        await sink.until(lambda: bool(sink.named("reconnecting")))
        microphone = asyncio.create_task(room.open_track("microphone", silence()))
        with anyio.fail_after(PATIENCE):
            await room.aclose()
        microphone.cancel()
        await asyncio.wait([microphone])
        assert not sink.losses


# The SDK's own attempts take the time, and know nothing of the loop.
@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", [pytest.param(("asyncio", {}), id="asyncio")])
async def test_a_server_that_stays_dead_ends_in_a_loss_that_a_rejoin_may_mend(
    sink: RecordingSink,
) -> None:
    async with EmbeddedServer() as server:
        room = LiveKitRoom()
        await room.connect(Stage(server, "", "", "r").access(), sink, new_writers()[2])
        await server.stop()
        await sink.until(lambda: bool(sink.losses))
        assert (sink.losses[0].rejoin, sink.losses[0].fault) == (True, True)
        await room.aclose()
