"""Closing leaves nothing behind: sessions 2 to 20 grow no more than the bare SDK does.

The SDK keeps some memory of its own for each room, so the two are measured side by side in one
process.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import msgspec
import psutil
import pytest
from livekit import rtc
from livelayer_embedded import EmbeddedServer

from livelayer_bus import LiteralToken, Session, SurfaceSession
from livelayer_bus.rooms import keep
from livelayer_bus.testing import PATIENCE, no_leaked_tasks
from tests.support import every

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

ROOM = "leaks"
SESSIONS = 19  # after a first one that pays for what a process has once
FRAMES = 3
NOISE_KB = 4096  # what the allocator gives and takes between two looks
ROUNDS = 3  # what leaks does so in each; what the rest of a long test process does is now and then
OPTIONS = rtc.RoomOptions(single_peer_connection=False)


class Growth(msgspec.Struct, frozen=True):
    """What sessions 2 to 20 added."""

    threads: int
    descriptors: int
    memory_kb: int


async def growth(use_once: Callable[[], Awaitable[None]]) -> Growth:
    await use_once()
    before = await _look()
    for _ in range(SESSIONS):
        await use_once()
    after = await _look()
    return Growth(*(b - a for a, b in zip(before, after, strict=True)))


async def _look() -> tuple[int, int, int]:
    gc.collect()
    process = psutil.Process()
    return (
        threading.active_count(),
        process.num_fds(),
        process.memory_info().rss // 1024,
    )


async def test_twenty_sessions_leave_no_more_behind_than_twenty_bare_rooms(
    server: EmbeddedServer,
) -> None:
    def token(identity: str, kind: str = "standard") -> str:
        return server.token(identity, room=ROOM, kind="agent" if kind == "agent" else "standard")

    async def bare() -> None:
        room = rtc.Room()
        subscribed: asyncio.Queue[rtc.Track] = asyncio.Queue()
        room.on("track_subscribed", lambda track, *_: subscribed.put_nowait(track))
        await room.connect(server.url, token("user"), OPTIONS)
        stream = rtc.VideoStream(await subscribed.get(), capacity=2)
        for _ in range(FRAMES):
            await anext(stream)
        await stream.aclose()
        await room.disconnect()

    async def watch(session: SurfaceSession) -> None:
        with session.video.subscribe() as frames:
            for _ in range(FRAMES):
                await anext(frames)

    async def ours() -> None:
        source = LiteralToken(server.url, token("user"))
        async with no_leaked_tasks(PATIENCE), Session("agt", tokens=source) as session:
            surface = session.mount(watch, key="panel")
            await session.connect()
            await surface.wait()

    rounds: list[tuple[Growth, Growth]] = []
    async with publisher(server.url, token("agent", "agent")):
        with anyio.fail_after(4 * PATIENCE):
            while len(rounds) < ROUNDS and not any(_no_worse(*each) for each in rounds):
                rounds.append((await growth(ours), await growth(bare)))

    assert any(_no_worse(*each) for each in rounds), rounds


def _no_worse(own: Growth, theirs: Growth) -> bool:
    return (
        own.threads <= max(theirs.threads, 0)
        and own.descriptors <= max(theirs.descriptors, 0)
        and own.memory_kb <= 1.2 * max(theirs.memory_kb, 0) + NOISE_KB
    )


@asynccontextmanager
async def publisher(url: str, token: str) -> AsyncGenerator[None, None]:
    """An agent that shows a picture, for the length of a block."""
    room, source = rtc.Room(), rtc.VideoSource(320, 180)
    picture = rtc.VideoFrame(320, 180, rtc.VideoBufferType.RGBA, bytes(320 * 180 * 4))

    async def show() -> None:
        async for _ in every(1 / 30):
            source.capture_frame(picture)

    await room.connect(url, token, OPTIONS)
    keep(room)
    track = rtc.LocalVideoTrack.create_video_track("face", source)
    await room.local_participant.publish_track(track)
    async with anyio.create_task_group() as group:
        group.start_soon(show)
        yield
        group.cancel_scope.cancel()
    await room.disconnect()
