"""While no surface wants frames nothing is copied; the next surface gets them at once."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from livelayer_bus import SurfaceSession, TrackChanged
from livelayer_bus.rooms import LiveKitRoom
from livelayer_bus.testing import PATIENCE, polled
from tests.integration.frames_kit import Listener, Watcher, session_in, showing, speaking
from tests.rooms.kit import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

TURNS = 5
at_once = partial(LiveKitRoom, pause_after=0.0)


async def test_surfaces_that_come_to_a_paused_track_wake_it_and_see_only_new_pictures(
    stage: Stage,
) -> None:
    agent = await stage.agent()
    async with session_in(stage, at_once) as session, showing(agent), speaking(agent):
        with anyio.fail_after(PATIENCE):
            await session.video.wait_available()
            await session.audio.wait_available()
        with session.subscribe(TrackChanged) as changes:
            seen = -1
            for turn in range(TURNS):
                # At rest, a channel keeps nothing: it would pass for the current picture.
                await polled(lambda: session.video.statistics().held == 0)
                await polled(lambda: session.audio.statistics().held == 0)
                assert session.video.available
                watcher, listener = Watcher(), Listener()
                mounted = [
                    session.mount(watcher, key=f"watcher {turn}", on_fault="raise"),
                    session.mount(listener, key=f"listener {turn}", on_fault="raise"),
                ]
                await watcher.sees(5)
                assert watcher.oldest is not None
                assert watcher.oldest > seen
                seen = watcher.newest or seen
                await listener.hears(5)
                for surface in mounted:
                    await surface.unmount()
            assert changes.statistics().lag == 0


async def test_a_surface_that_pauses_its_reading_gets_nothing_and_goes_on_with_the_newest(
    stage: Stage,
) -> None:
    watcher = Watcher()
    paused, resume = anyio.Event(), anyio.Event()

    async def hidden(session: SurfaceSession) -> None:
        with session.video.subscribe() as frames:
            await anext(frames)
            frames.pause()
            before = frames.statistics()
            paused.set()
            await resume.wait()
            assert session.video.demand == 1
            after = frames.statistics()
            assert (after.received, after.dropped) == (before.received, before.dropped)
            frames.resume()
            assert session.video.demand == 2
            assert await anext(frames) is session.video.latest

    agent = await stage.agent()
    async with session_in(stage) as session, showing(agent):
        session.mount(watcher, key="watcher", on_fault="raise")
        hiding = session.mount(hidden, key="hidden", on_fault="raise")
        with anyio.fail_after(PATIENCE):
            await paused.wait()
            await watcher.sees(10)
            resume.set()
            await hiding.wait()
