"""Joining and leaving: what is reported, what is refused, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import os
import traceback
import weakref
from typing import Any

import anyio
import pytest
from livekit import api, rtc

from livelayer_bus.errors import (
    BrokenError,
    ClosedError,
    ConnectError,
    MisuseError,
    RoomRefusedError,
)
from livelayer_bus.rooms import BorrowedRoom, LiveKitRoom, livekit
from livelayer_bus.testing import PATIENCE, polled
from livelayer_bus.tokens import RoomAccess
from tests.rooms.kit import RecordingSink, Stage, new_writers, nothing_left

pytestmark = pytest.mark.anyio


async def test_a_joined_room_has_its_name_and_the_sdk_object_until_it_is_closed(
    stage: Stage, sink: RecordingSink
) -> None:
    room = LiveKitRoom()
    await room.connect(stage.access(), sink, new_writers()[2])
    assert room.room_name == stage.room
    assert isinstance(room.native, rtc.Room)
    assert room.native.isconnected()
    assert not sink.losses
    await room.aclose()
    with pytest.raises(BrokenError):
        await room.send(b"{}")
    assert room.native is None


async def test_closing_leaves_the_room_and_is_safe_to_repeat_and_to_race(
    stage: Stage, sink: RecordingSink
) -> None:
    left = asyncio.Event()
    witness = await stage.join("witness")
    seen = asyncio.Event()
    witness.on("participant_connected", lambda _: seen.set())
    witness.on("participant_disconnected", lambda _: left.set())
    room = LiveKitRoom()
    await room.connect(stage.access(), sink, new_writers()[2])
    with anyio.fail_after(PATIENCE):
        await seen.wait()
        async with anyio.create_task_group() as closers:
            closers.start_soon(room.aclose)
            closers.start_soon(room.aclose)
        await room.aclose()
        await left.wait()


async def test_nothing_of_a_closed_room_is_kept_alive(stage: Stage, sink: RecordingSink) -> None:
    await stage.agent()
    room = LiveKitRoom()
    await room.connect(stage.access(), sink, new_writers()[2])
    await sink.saw("agent", "agent", True)
    native = room.native
    assert native is not None
    adapter, sdk = weakref.ref(room), weakref.ref(native)
    await room.aclose()
    del room, native
    gc.collect()
    assert adapter() is None
    assert sdk() is None


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ({"ttl": -3600}, "expired"),
        ({"room_join": False}, ""),
    ],
    ids=["expired", "no grant to join"],
)
async def test_a_refused_token_is_named_but_never_shown(
    stage: Stage,
    sink: RecordingSink,
    token: dict[str, Any],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    access = stage.access(**token)
    room = LiveKitRoom()
    with pytest.raises(RoomRefusedError) as refused:
        await room.connect(access, sink, new_writers()[2])
    shown = "".join(traceback.format_exception(refused.value))
    assert access.token not in shown
    assert access.token.split(".")[1] not in shown
    assert said in refused.value.reason.lower()
    # The SDK logs a refusal itself, with the token in it if the server quotes it.
    assert access.token not in caplog.text
    await room.aclose()


async def test_a_token_of_a_foreign_key_is_refused(stage: Stage, sink: RecordingSink) -> None:
    token = api.AccessToken("APIwrong", "w" * 32).with_identity("user")
    token = token.with_grants(api.VideoGrants(room_join=True, room=stage.room))
    room = LiveKitRoom()
    access = RoomAccess(stage.server.url, str(token.to_jwt()))
    with pytest.raises(RoomRefusedError):
        await room.connect(access, sink, new_writers()[2])
    await room.aclose()


@pytest.mark.parametrize(
    ("url", "retryable"), [("ws://127.0.0.1:9", True), ("nonsense://here", False)]
)
async def test_an_address_where_no_server_is_can_be_told_from_one_that_makes_no_sense(
    sink: RecordingSink, url: str, retryable: bool
) -> None:
    room = LiveKitRoom()
    with anyio.fail_after(PATIENCE), pytest.raises(ConnectError) as failed:
        await room.connect(RoomAccess(url, "token"), sink, new_writers()[2])
    assert failed.value.retryable is retryable
    assert url in str(failed.value)
    await room.aclose()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy"])
async def test_a_server_on_this_machine_is_not_asked_through_a_proxy(
    stage: Stage, sink: RecordingSink, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    room = LiveKitRoom()
    await room.connect(stage.access(), sink, new_writers()[2])
    assert os.environ[variable] == "http://127.0.0.1:9"
    await room.aclose()


async def test_the_error_of_a_join_through_a_proxy_names_the_variable(
    sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    room = LiveKitRoom()
    with anyio.fail_after(PATIENCE), pytest.raises(ConnectError, match="HTTPS_PROXY"):
        await room.connect(RoomAccess("wss://rooms.invalid", "token"), sink, new_writers()[2])
    await room.aclose()


async def test_a_room_is_connected_once(stage: Stage, sink: RecordingSink) -> None:
    room = LiveKitRoom()
    await room.connect(stage.access(), sink, new_writers()[2])
    with pytest.raises(MisuseError):
        await room.connect(stage.access(), sink, new_writers()[2])
    await room.aclose()
    with pytest.raises(ClosedError):
        await room.connect(stage.access(), sink, new_writers()[2])
    with pytest.raises(BrokenError):
        await room.send(b"{}")


@pytest.mark.parametrize("passes", [1, 5, 50])
async def test_a_cancelled_connect_leaves_nobody_in_the_room(
    stage: Stage, sink: RecordingSink, passes: int
) -> None:
    room = LiveKitRoom()
    connecting = asyncio.ensure_future(room.connect(stage.access(), sink, new_writers()[2]))
    for _ in range(passes):
        await asyncio.sleep(0)
    connecting.cancel()
    await asyncio.wait([connecting])
    assert connecting.cancelled()
    with anyio.fail_after(PATIENCE):
        await room.aclose()
    witness = await stage.join("witness")
    assert "user" not in witness.remote_participants
    assert sink.calls == []


async def test_closing_during_connect_ends_in_a_typed_error(
    stage: Stage, sink: RecordingSink
) -> None:
    room = LiveKitRoom()
    connecting = asyncio.ensure_future(room.connect(stage.access(), sink, new_writers()[2]))
    await asyncio.sleep(0)
    await room.aclose()
    with anyio.fail_after(PATIENCE), pytest.raises(ClosedError):
        await connecting


async def test_a_borrowed_room_must_be_connected(sink: RecordingSink) -> None:
    room = BorrowedRoom(rtc.Room())
    with pytest.raises(ConnectError, match="not connected"):
        await room.connect(RoomAccess("ws://127.0.0.1:9", ""), sink, new_writers()[2])
    await room.aclose()


async def test_a_server_that_never_answers_is_given_up_in_bounded_time(
    sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livekit, "JOIN_SECONDS", 0.2)
    monkeypatch.setattr(livekit, "LEAVE_SECONDS", 0.1)
    callers: list[asyncio.StreamWriter] = []
    called = asyncio.Event()

    def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer)
        called.set()

    async with nothing_left():
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        room = LiveKitRoom()
        with anyio.fail_after(PATIENCE), pytest.raises(ConnectError, match="no answer") as failed:
            await room.connect(RoomAccess(url, "token"), sink, new_writers()[2])
        assert failed.value.retryable
        with anyio.fail_after(PATIENCE):
            await room.aclose()
        # The SDK goes on trying; once it has failed, nothing of the attempt is left.
        with anyio.fail_after(PATIENCE):
            await called.wait()
        server.close()
        for caller in callers:
            caller.transport.abort()


async def test_a_close_that_is_cancelled_leaves_the_room_all_the_same(
    stage: Stage, sink: RecordingSink
) -> None:
    left = asyncio.Event()
    witness = await stage.join("witness")
    room = LiveKitRoom()
    await room.connect(stage.access(), sink, new_writers()[2])
    await polled(lambda: "user" in witness.remote_participants)
    witness.on("participant_disconnected", lambda _: left.set())
    closing = asyncio.ensure_future(room.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    with anyio.fail_after(PATIENCE):
        await left.wait()
