"""Data packets, streams, RPC and data tracks between participants."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import anyio
import pytest
from livekit import rtc

from livelayer_bus.testing import PATIENCE, settle
from tests.support import every

from .conftest import Join, Server

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("reliable", [True, False], ids=["reliable", "lossy"])
async def test_a_message_arrives_with_its_topic_and_sender(join: Join, reliable: bool) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.sees("bob")
    await alice.me.publish_data(b"hello", reliable=reliable, topic="greeting")
    packet = await bob.data()
    assert (packet.data, packet.topic) == (b"hello", "greeting")
    assert packet.participant is not None
    assert packet.participant.identity == "alice"
    assert packet.kind == (
        rtc.DataPacketKind.KIND_RELIABLE if reliable else rtc.DataPacketKind.KIND_LOSSY
    )


async def test_only_those_named_receive(join: Join) -> None:
    alice, bob, carol = await join("alice"), await join("bob"), await join("carol")
    await alice.sees("bob")
    await alice.sees("carol")
    await alice.me.publish_data(b"for bob", destination_identities=["bob"])
    await alice.me.publish_data(b"for all")
    assert [(await bob.data()).data for _ in range(2)] == [b"for bob", b"for all"]
    assert (await carol.data()).data == b"for all"
    assert alice.seen("data_received") == 0


async def test_reliable_messages_arrive_once_and_in_order(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.sees("bob")
    sent = [f"{i}:".encode() + secrets.token_bytes(1 + i * 37 % 5000) for i in range(300)]
    for message in sent:
        await alice.me.publish_data(message)
    assert [(await bob.data()).data for _ in sent] == sent
    assert bob.seen("data_received") == 0


async def test_a_message_at_the_size_limit_arrives_whole(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.sees("bob")
    message = secrets.token_bytes(60_000)
    await alice.me.publish_data(message)
    assert (await bob.data()).data == message


async def test_data_is_not_delivered_without_the_grant(join: Join) -> None:
    mute = await join("mute", can_publish_data=False)
    alice, bob = await join("alice"), await join("bob")
    await mute.sees("bob")
    await alice.sees("bob")
    # The SDK holds it back, in case it is granted, or fails.
    forbidden = asyncio.create_task(mute.me.publish_data(b"forbidden"))
    await settle()
    for number in range(10):
        await alice.me.publish_data(b"%d" % number)
        assert (await bob.data()).data == b"%d" % number
    forbidden.cancel()
    await asyncio.wait([forbidden])


async def test_the_server_itself_can_send_data(server: Server, join: Join, room_name: str) -> None:
    alice = await join("alice")
    await server.send(room_name, b"from above", "news")
    packet = await alice.data()
    assert (packet.data, packet.topic, packet.participant) == (b"from above", "news", None)


async def test_text_streams_arrive_whole_with_attributes(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.sees("bob")
    got: asyncio.Queue[Any] = asyncio.Queue()

    async def read(reader: rtc.TextStreamReader, sender: str) -> None:
        await got.put((sender, reader.info.attributes, await reader.read_all()))

    tasks: list[asyncio.Task[None]] = []
    bob.room.register_text_stream_handler(
        "chat", lambda reader, sender: tasks.append(asyncio.create_task(read(reader, sender)))
    )
    text = "grüße 👋 " * 9000
    with anyio.fail_after(PATIENCE):
        await alice.me.send_text(text, topic="chat", attributes={"a": "b"})
        sender, attributes, received = await got.get()
    assert sender == "alice"
    assert dict(attributes or {}).items() >= {"a": "b"}.items()
    assert received == text


async def test_a_megabyte_of_bytes_arrives_unchanged(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.sees("bob")
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def read(reader: rtc.ByteStreamReader) -> None:
        await got.put(b"".join([chunk async for chunk in reader]))

    tasks: list[asyncio.Task[None]] = []
    bob.room.register_byte_stream_handler(
        "file", lambda reader, _: tasks.append(asyncio.create_task(read(reader)))
    )
    content = secrets.token_bytes(1 << 20)
    with anyio.fail_after(PATIENCE):
        writer = await alice.me.stream_bytes("blob.bin", topic="file", total_size=len(content))
        await writer.write(content)
        await writer.aclose()
        assert await got.get() == content


async def test_rpc_answers_and_reports_errors(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.sees("bob")

    async def double(call: rtc.RpcInvocationData) -> str:
        if not call.payload.isdecimal():
            raise rtc.RpcError(1501, "not a number")
        return str(2 * int(call.payload))

    bob.me.register_rpc_method("double", double)
    with anyio.fail_after(PATIENCE):
        answer = await alice.me.perform_rpc(
            destination_identity="bob", method="double", payload="21"
        )
        assert answer == "42"
        with pytest.raises(rtc.RpcError, match="not a number"):
            await alice.me.perform_rpc(destination_identity="bob", method="double", payload="x")


async def test_a_data_track_delivers_frames_until_it_is_unpublished(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await bob.sees("alice")
    with anyio.fail_after(PATIENCE):
        local = await alice.me.publish_data_track(name="pose")
    remote: rtc.RemoteDataTrack = (await bob.next("data_track_published"))[0]
    assert (remote.info.name, remote.publisher_identity) == ("pose", "alice")
    stream = remote.subscribe()

    async def push() -> None:
        async for _ in every(0.02):
            local.try_push(rtc.DataTrackFrame(payload=b"x" * 3000, user_timestamp=7))

    pushing = asyncio.create_task(push())
    with anyio.fail_after(PATIENCE):
        async for frame in stream:
            assert (frame.payload, frame.user_timestamp) == (b"x" * 3000, 7)
            break
    pushing.cancel()
    await asyncio.gather(pushing, return_exceptions=True)
    await local.unpublish()
    assert (await bob.next("data_track_unpublished"))[0] == local.info.sid
