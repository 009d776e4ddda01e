"""A surface that blocks the application's loop: what it costs is counted, and then it is over.

The server and the agent run in a loop of their own, in another thread, as they would elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from livelayer_benchmarks.picture import Painter
from livelayer_embedded import EmbeddedServer

from livelayer_bus import SurfaceSession
from livelayer_bus.rooms import IsolatedRoom, LiveKitRoom, RoomFactory
from tests.integration.conftest import SERVERS, real_stage
from tests.integration.frames_kit import (
    FPS,
    FRAME_MS,
    PATIENCE,
    Listener,
    Watcher,
    number_of,
    session_in,
    showing,
    speaking,
)
from tests.rooms.kit import Stage, embedded_stage

pytestmark = pytest.mark.anyio

BLOCKED = 1.5  # seconds that the loop stands still
STALE = 6  # pictures of before that may come first: those that two bounded slots hold
FRESH = FPS // 2  # pictures that the newest one may be behind the painter
SOUND_MS = 200


@asynccontextmanager
async def elsewhere(real: bool) -> AsyncGenerator[tuple[Stage, Painter]]:
    """An agent that is seen and heard, on a server of either kind."""
    async with AsyncExitStack() as stack:
        if real:
            stage = real_stage()
        else:
            stage = embedded_stage(await stack.enter_async_context(EmbeddedServer()))
        stack.push_async_callback(stage.aclose)
        agent = await stage.agent()
        painter = await stack.enter_async_context(showing(agent))
        await stack.enter_async_context(speaking(agent))
        yield stage, painter


@pytest.fixture(params=SERVERS)
def agent(request: pytest.FixtureRequest) -> Generator[tuple[Stage, Painter]]:
    """Somewhere the test's loop does not reach."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(elsewhere(request.param == "real")) as there,
    ):
        yield there


@pytest.mark.parametrize("rooms", [LiveKitRoom, IsolatedRoom])
async def test_after_a_blocked_loop_everything_is_back_to_normal(
    agent: tuple[Stage, Painter], rooms: RoomFactory
) -> None:
    stage, painter = agent
    watcher, listener = Watcher(), Listener()
    costs: list[str] = []

    async def blocker(session: SurfaceSession) -> None:
        pictures, sounds = session.video, session.audio
        with pictures.subscribe() as frames, sounds.subscribe(max_delay_ms=SOUND_MS) as sound:
            await anext(frames)
            await anext(sound)
            painted = painter.number
            time.sleep(BLOCKED)  # noqa: ASYNC251 - this is what the test is about
            assert painter.number - painted > FPS / 2
            stale = 0
            async for frame in frames:
                assert pictures.statistics().frames_alive <= 2 * STALE
                number = number_of(frame)
                if number is not None and painter.number - number <= FRESH:
                    break
                stale += 1
            assert stale <= STALE
            waiting = sound.statistics().waiting
            assert waiting <= SOUND_MS / FRAME_MS
            for _ in range(waiting + 1):
                await anext(sound)
            for counted in (frames.statistics(), sound.statistics()):
                assert counted.received == counted.delivered + counted.dropped + counted.waiting
            assert sounds.statistics().frames_alive <= 2 * SOUND_MS / FRAME_MS
            costs.append("counted")

    async with session_in(stage, rooms) as session:
        session.mount(watcher, key="watcher", on_fault="raise")
        session.mount(listener, key="listener", on_fault="raise")
        await watcher.sees(5)
        await listener.hears(5)
        blocking = session.mount(blocker, key="blocker", on_fault="raise")
        with anyio.fail_after(PATIENCE):
            await blocking.wait()
        assert costs == ["counted"]
        # The others, too, are up to date and hear without a gap.
        await watcher.until(
            lambda: watcher.newest is not None and painter.number - watcher.newest <= FRESH
        )
        assert watcher.alive <= STALE
        before = session.audio.statistics().pushed, listener.taken
        await listener.hears(50)
        pushed, taken = session.audio.statistics().pushed - before[0], listener.taken - before[1]
        assert abs(pushed - taken) <= SOUND_MS / FRAME_MS
        assert not session.state.reconnecting
