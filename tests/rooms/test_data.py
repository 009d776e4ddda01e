"""Data packets and text, in both directions."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from livekit import api, rtc

from livelayer_bus.errors import BrokenError, RefusedError
from livelayer_bus.rooms import LiveKitRoom, PacketReceived, RoomEvent
from livelayer_bus.testing import PATIENCE, polled, silence
from tests.rooms.kit import ON_BEHALF, Joined, RecordingSink, Stage, new_writers

pytestmark = pytest.mark.anyio


async def test_a_packet_says_who_sent_it_and_whether_an_agent_did(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    senders = {
        "agent": await stage.agent("agent"),
        "worker": await stage.worker("worker"),
        "avatar": await stage.agent("avatar", **ON_BEHALF),
        "guest": await stage.join("guest"),
        "liar": await stage.join("liar", attributes=ON_BEHALF),
        "worker of a guest": await stage.worker("worker of a guest", "guest"),
        "fool": await stage.join("fool", attributes={"lk.agent.state": "speaking"}),
    }
    native = joined.room.native
    assert native is not None
    await polled(lambda: set(native.remote_participants) == set(senders))
    for name, room in senders.items():
        await room.local_participant.publish_data(name.encode(), topic="t")
    for name in senders:
        await sink.saw("packet", name.encode(), name, "t", name in ("agent", "worker", "avatar"))


async def test_who_may_say_of_itself_that_it_speaks_for_an_agent_is_not_believed(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    await stage.agent("agent")
    guest = await stage.join("guest")
    await guest.local_participant.set_attributes(ON_BEHALF)
    native = joined.room.native
    assert native is not None
    everyone = native.remote_participants
    await polled(lambda: "guest" in everyone and bool(everyone["guest"].attributes))
    await guest.local_participant.publish_data(b"navigate", topic="t")
    await sink.saw("packet", b"navigate", "guest", "t", False)


async def test_what_the_server_itself_sends_has_no_sender(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    async with stage.admin() as admin:
        await admin.room.send_data(
            api.SendDataRequest(room=stage.room, data=b"from above", topic="t")
        )
    await sink.saw("packet", b"from above", None, "t", False)


async def test_packets_of_one_sender_arrive_whole_and_in_order(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    sent = [bytes([number]) * (15_360 if number % 10 == 0 else 3) for number in range(100)]
    for data in sent:
        await agent.local_participant.publish_data(data)
    await sink.until(lambda: len(sink.named("packet")) == len(sent))
    assert [call[0] for call in sink.named("packet")] == sent


async def test_a_packet_goes_to_those_it_is_sent_to_with_its_topic(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    got: asyncio.Queue[tuple[str, rtc.DataPacket]] = asyncio.Queue()
    for name in ("one", "two"):
        peer = await stage.agent(name)
        peer.on("data_received", lambda packet, name=name: got.put_nowait((name, packet)))
    native = joined.room.native
    assert native is not None
    await polled(lambda: len(native.remote_participants) == 2)
    with anyio.fail_after(PATIENCE):
        await joined.room.send(b"to two", topic="orders", to=["two"])
        await joined.room.send(b"to all")
        seen = [await got.get() for _ in range(3)]
    assert sorted((name, packet.data, packet.topic) for name, packet in seen) == [
        ("one", b"to all", ""),
        ("two", b"to all", ""),
        ("two", b"to two", "orders"),
    ]


async def test_text_arrives_as_a_text_stream(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    got: asyncio.Queue[str] = asyncio.Queue()
    readers: list[asyncio.Task[None]] = []

    async def read(reader: rtc.TextStreamReader) -> None:
        got.put_nowait(await reader.read_all())

    agent.register_text_stream_handler(
        "lk.chat", lambda reader, _: readers.append(asyncio.create_task(read(reader)))
    )
    await sink.saw("agent", "agent", True)
    text = "héllo " * 5000
    await joined.room.send_text(text, topic="lk.chat", to=["agent"])
    with anyio.fail_after(PATIENCE):
        assert await got.get() == text
        await asyncio.wait(readers)


async def test_sending_after_the_room_is_lost_fails_with_a_typed_error(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    native = joined.room.native
    assert native is not None
    await native.disconnect()
    for call in (joined.room.send(b"{}"), joined.room.send_text("x", topic="t")):
        with pytest.raises(BrokenError):
            await call
    with pytest.raises(BrokenError):
        await joined.room.open_track("microphone", silence())


async def test_a_sink_that_raises_does_not_stop_the_room(
    stage: Stage,
    joined: Joined,
    sink: RecordingSink,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exploded = asyncio.Event()

    take = sink.report

    def explode(event: RoomEvent) -> None:
        if isinstance(event, PacketReceived):
            exploded.set()
            raise TypeError(event.data.decode())
        take(event)

    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    with monkeypatch.context() as broken:
        broken.setattr(sink, "report", explode)
        await agent.local_participant.publish_data(b"a secret payload")
        await agent.local_participant.set_attributes({"lk.agent.state": "thinking"})
        await sink.saw("agent_state", "thinking")
        with anyio.fail_after(PATIENCE):
            await exploded.wait()
    await agent.local_participant.publish_data(b"next")
    await sink.saw("packet", b"next", "agent", None, True)
    assert "TypeError" in caplog.text
    assert "secret" not in caplog.text


async def test_attributes_of_ours_reach_the_others_and_an_empty_one_is_removed(
    stage: Stage, joined: Joined
) -> None:
    guest = await stage.join("guest")
    await polled(lambda: "user" in guest.remote_participants)
    told = guest.remote_participants["user"]
    await joined.room.set_attributes({"agent.context": "{}", "mood": "good"})
    await polled(lambda: told.attributes == {"agent.context": "{}", "mood": "good"})
    await joined.room.set_attributes({"mood": ""})
    await polled(lambda: told.attributes == {"agent.context": "{}"})


async def test_a_token_that_does_not_allow_attributes_is_a_refusal(
    stage: Stage, sink: RecordingSink
) -> None:
    room = LiveKitRoom()
    access = stage.access(can_update_own_metadata=False)
    await room.connect(access, sink, new_writers()[2])
    with pytest.raises(RefusedError, match="canUpdateOwnMetadata"):
        await room.set_attributes({"mood": "good"})
    await room.aclose()
    with pytest.raises(BrokenError):
        await room.set_attributes({"mood": "good"})
