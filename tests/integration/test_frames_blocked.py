"""A surface that blocks the application's loop: what it costs is counted, and then it is over.

The server and the agent run in a loop of their own, in another thread, as they would elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from livelayer_embedded import EmbeddedServer

from livelayer_bus import SurfaceSession
from livelayer_bus.rooms import IsolatedRoom, LiveKitRoom, RoomFactory
from livelayer_bus.testing import PATIENCE
from tests.integration.conftest import SERVERS, real_stage
from tests.integration.frames_kit import (
    FRAME_MS,
    Listener,
    Shown,
    Watcher,
    number_of,
    session_in,
    showing,
    speaking,
)
from tests.rooms.kit import Stage, embedded_stage

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

BLOCKED = 45  # pictures that are shown while the loop stands still
STALE = 6  # pictures that bounded slots hold
SOUND_MS = 200


@asynccontextmanager
async def elsewhere(real: bool) -> AsyncGenerator[tuple[Stage, Shown]]:
    """An agent that is seen and heard, on a server of either kind."""
    async with AsyncExitStack() as stack:
        if real:
            stage = real_stage()
        else:
            stage = embedded_stage(await stack.enter_async_context(EmbeddedServer()))
        stack.push_async_callback(stage.aclose)
        agent = await stage.agent()
        shown = await stack.enter_async_context(showing(agent))
        await stack.enter_async_context(speaking(agent))
        yield stage, shown


class Agent:
    """An agent that the test's loop does not hold up."""

    def __init__(self, stage: Stage, shown: Shown, portal: BlockingPortal) -> None:
        self.stage = stage
        self.shown = shown
        self._portal = portal

    def block_until_shown(self, more: int) -> None:
        """Block the caller's loop until so many more pictures have been shown."""
        self._portal.call(self.shown.shows, more)


@pytest.fixture(params=SERVERS)
def agent(request: pytest.FixtureRequest) -> Generator[Agent]:
    """Somewhere the test's loop does not reach."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(elsewhere(request.param == "real")) as (stage, shown),
    ):
        yield Agent(stage, shown, portal)


@pytest.mark.parametrize("rooms", [LiveKitRoom, IsolatedRoom])
async def test_after_a_blocked_loop_everything_is_back_to_normal(
    agent: Agent, rooms: RoomFactory
) -> None:
    shown = agent.shown
    watcher, listener = Watcher(), Listener()
    costs: list[str] = []

    async def blocker(session: SurfaceSession) -> None:
        pictures, sounds = session.video, session.audio
        with pictures.subscribe() as frames, sounds.subscribe(max_delay_ms=SOUND_MS) as sound:
            await anext(frames)
            await anext(sound)
            pushed = pictures.statistics().pushed
            agent.block_until_shown(BLOCKED)  # what the test is about
            unblocked_at = shown.number
            while pictures.statistics().pushed == pushed:
                await anext(frames)
            # Of all that came while the loop stood still, what its slots hold is pushed.
            assert pictures.statistics().pushed - pushed <= STALE
            async for frame in frames:
                assert pictures.statistics().frames_alive <= 2 * STALE
                number = number_of(frame)
                if number is not None and number > unblocked_at:
                    break
            waiting = sound.statistics().waiting
            assert waiting <= SOUND_MS / FRAME_MS
            for _ in range(waiting + 1):
                await anext(sound)
            for counted in (frames.statistics(), sound.statistics()):
                assert counted.received == counted.delivered + counted.dropped + counted.waiting
            assert sounds.statistics().frames_alive <= 2 * SOUND_MS / FRAME_MS
            costs.append("counted")

    async with session_in(agent.stage, rooms) as session:
        session.mount(watcher, key="watcher", on_fault="raise")
        session.mount(listener, key="listener", on_fault="raise")
        await watcher.sees(5)
        await listener.hears(5)
        blocking = session.mount(blocker, key="blocker", on_fault="raise")
        with anyio.fail_after(PATIENCE):
            await blocking.wait()
        assert costs == ["counted"]
        # The others, too, are up to date and hear without a gap.
        now = shown.number
        await watcher.until(lambda: watcher.newest is not None and watcher.newest > now)
        assert watcher.alive <= STALE
        before = session.audio.statistics().pushed, listener.taken
        await listener.hears(50)
        pushed, taken = session.audio.statistics().pushed - before[0], listener.taken - before[1]
        assert abs(pushed - taken) <= SOUND_MS / FRAME_MS
        assert not session.state.reconnecting
