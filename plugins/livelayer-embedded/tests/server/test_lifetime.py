"""Starting, closing, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from livekit import rtc
from livelayer_embedded import EmbeddedServer
from livelayer_embedded.errors import EmbeddedServerError, LoopbackOnlyError
from livelayer_embedded.server import LISTENS_BESIDE

from livelayer_bus.errors import ClosedError
from livelayer_bus.rooms import keep
from livelayer_bus.testing import PATIENCE

from .conftest import Join, Microphone

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "example.org", "::1"])  # noqa: S104 - refused
async def test_only_loopback_is_served(host: str) -> None:
    with pytest.raises(LoopbackOnlyError, match=r"127\.0\.0\.1 only"):
        EmbeddedServer(host=host)


async def test_no_secret_shows_in_a_repr() -> None:
    async with EmbeddedServer(key="the-key", secret="the-long-secret-of-this-server-0") as server:
        assert "secret" not in repr(server) + repr(server.authority)
        assert server.url in repr(server)


async def test_a_taken_port_is_a_typed_error(embedded: EmbeddedServer) -> None:
    other = EmbeddedServer(port=embedded.port)
    with pytest.raises(EmbeddedServerError, match=str(embedded.port)):
        await other.start()
    await other.aclose()


async def test_closing_is_bounded_and_final(join_at: Any) -> None:
    server = EmbeddedServer()
    await server.start()
    clients = [await join_at(server.url, server.token(f"m{i}", "room"), f"m{i}") for i in range(3)]
    with anyio.fail_after(PATIENCE):
        await server.aclose()
        await server.aclose()
    for client in clients:
        reason = (await client.next("disconnected"))[0]
        assert reason == rtc.DisconnectReason.SERVER_SHUTDOWN
    with pytest.raises(ClosedError):
        await server.start()
    with pytest.raises(ClosedError):
        _ = server.rooms


def _descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


async def test_joins_and_leaves_leave_nothing_behind(
    embedded: EmbeddedServer, enter: Join, room_name: str
) -> None:
    alice = await enter("alice")
    baseline: tuple[int, int] | None = None
    for _ in range(6):
        bob = await enter("bob")
        async with Microphone() as microphone:
            await bob.me.publish_track(microphone.track, rtc.TrackPublishOptions())
            await alice.next("track_subscribed")
            await bob.room.disconnect()
            await alice.next("participant_disconnected")
        state = embedded._state().state
        closing = [t for t in asyncio.all_tasks() if t.get_name() == "livelayer embedded task"]
        with anyio.fail_after(PATIENCE):
            await asyncio.gather(*closing)
        assert (len(state.sessions), len(state.up_tracks)) == (1, 0)
        gc.collect()
        ours = [t for t in asyncio.all_tasks() if "embedded" in t.get_name()]
        now = (len(ours), _descriptors())
        baseline = baseline or now
        assert now[0] <= baseline[0]
        assert now[1] <= baseline[1] + 4
    assert [p.identity for p in embedded.rooms.get_room(room_name).participants.values()] == [
        "alice"
    ]


async def test_nothing_runs_after_the_server_is_closed() -> None:
    before = asyncio.all_tasks()
    async with EmbeddedServer() as server:
        room = rtc.Room()
        await room.connect(
            server.url, server.token("a", "r"), rtc.RoomOptions(single_peer_connection=False)
        )
        keep(room)
        await room.disconnect()
    left = asyncio.all_tasks() - before
    assert [task.get_name() for task in left if "embedded" in task.get_name()] == []


@pytest.mark.skipif(not LISTENS_BESIDE, reason="this system cannot reserve a port that is in use")
async def test_another_program_never_gets_the_port_during_a_restart() -> None:
    attempts = 0
    got: list[int] = []

    async def try_to_bind(port: int) -> None:
        nonlocal attempts
        while True:
            with socket.socket() as other, suppress(OSError):
                other.bind(("127.0.0.1", port))
                got.append(attempts)
            attempts += 1
            await anyio.lowlevel.checkpoint()

    async with EmbeddedServer() as server, anyio.create_task_group() as group:
        group.start_soon(try_to_bind, server.port)
        for _ in range(3):
            await server.restart()
        group.cancel_scope.cancel()
    assert attempts > 3
    assert not got


async def test_the_port_of_a_stopped_server_stays_its_own_until_it_is_closed() -> None:
    async with EmbeddedServer() as server:
        address = ("127.0.0.1", server.port)
        await server.stop()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(address)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        await server.start()
        assert server.port == address[1]
        await server.stop()
    with socket.socket() as other:
        other.bind(address)
