"""Surfaces come and go while frames flow: the session stays, and nothing of them is left."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter

import anyio
import pytest

from livelayer_bus import (
    ConnectionStateChanged,
    Reconnected,
    Reconnecting,
    Session,
    Subscription,
    SurfaceSession,
)
from livelayer_bus.media import AudioFrame, AudioSubscription, VideoFrame, VideoSubscription
from livelayer_bus.testing import PATIENCE, polled
from tests.integration.frames_kit import Listener, Watcher, session_in, showing, speaking
from tests.rooms.kit import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

ROUNDS, AT_ONCE = 100, 10  # a thousand mounts
IN_FLIGHT = 4  # pictures that a reader holds at the moment of counting
SOUND_KEPT = 30  # stretches of 10 ms, the listener's 200 ms and a few in flight


def census(session: Session) -> Counter[str]:
    """What there is of everything that a surface makes or holds."""
    gc.collect()
    kinds = (VideoSubscription, AudioSubscription, Subscription, SurfaceSession)
    found = Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, kinds))
    found["tasks"] = len(asyncio.all_tasks())
    found["video demand"] = session.video.demand
    found["audio demand"] = session.audio.demand
    found["surfaces"] = len(session.state.surfaces)
    return found


def existing(kind: type[VideoFrame | AudioFrame]) -> int:
    """How many frames of this kind there are."""
    gc.collect()
    return sum(type(one) is kind for one in gc.get_objects())


class Visitor:
    """A surface that reads picture, sound and events, and leaves in one of several ways."""

    def __init__(self, manner: int) -> None:
        self.manner = manner
        self.taken = anyio.Event()

    async def run(self, session: SurfaceSession) -> None:
        pictures, sound = session.video.subscribe(), session.audio.subscribe()
        frame = await anext(pictures)
        frame.to_ndarray("gray")
        self.taken.set()
        if self.manner == 0:  # by itself, without closing anything
            return
        with session.subscribe() as events, pictures:
            if self.manner == 1:  # while it waits for pictures
                async for _ in pictures:
                    pass
            elif self.manner == 2:  # while it waits for sound
                async for _ in sound:
                    pass
            async for _ in events:  # while it waits for events
                pass


async def visit(session: Session, *, wait: bool) -> None:
    """Mount some visitors at once and unmount them, when each has a picture or at once."""
    visitors = [Visitor(number % 5) for number in range(AT_ONCE)]
    mounted = [
        session.mount(visitor, key=f"visitor {number}", on_fault="raise")
        for number, visitor in enumerate(visitors)
    ]
    with anyio.fail_after(PATIENCE):
        for visitor in visitors if wait else ():
            await visitor.taken.wait()
        for surface in mounted:
            await surface.unmount()


async def test_a_thousand_mounts_and_unmounts_leave_nothing_while_frames_flow(
    stage: Stage,
) -> None:
    watcher, listener = Watcher(), Listener()
    agent = await stage.agent()
    async with session_in(stage) as session, showing(agent), speaking(agent):
        session.mount(watcher, key="watcher")
        session.mount(listener, key="listener")
        await watcher.sees(1)
        await listener.hears(1)
        before, pushed = census(session), session.video.statistics().pushed
        for turn in range(ROUNDS):
            # Every third time they are gone before their first step.
            await visit(session, wait=turn % 3 != 0)
        await watcher.sees(2)
        assert session.video.statistics().pushed > pushed
        # What is left behind stays; what waits to be taken does not.
        await polled(lambda: census(session) <= before)
        await polled(lambda: session.video.statistics().frames_alive <= IN_FLIGHT)
        await polled(lambda: session.audio.statistics().frames_alive <= SOUND_KEPT)
        await polled(lambda: existing(VideoFrame) <= IN_FLIGHT)
        await polled(lambda: existing(AudioFrame) <= SOUND_KEPT)
    assert session.video.demand == session.audio.demand == 0


async def test_a_surface_mounted_again_finds_the_same_session_without_gap_or_reconnect(
    stage: Stage,
) -> None:
    watcher = Watcher()
    starts: list[tuple[str, int, int]] = []
    looked = anyio.Event()

    async def panel(session: SurfaceSession) -> None:
        with session.subscribe() as events, session.video.subscribe() as frames:
            snapshot = events.snapshot
            assert session.key in snapshot.surfaces
            frame = await anext(frames)
            assert frame is session.video.latest
            session_again.mount(passer_by, key="passer-by")
            record = await anext(events.records())
            starts.append((snapshot.id, snapshot.sequence, record.sequence))
            looked.set()
            await anyio.sleep_forever()

    async def passer_by(session: SurfaceSession) -> None:
        assert session.video.available

    agent = await stage.agent()
    async with session_in(stage) as session, showing(agent):
        session_again = session
        session.mount(watcher, key="watcher")
        await watcher.sees(1)
        connection = (ConnectionStateChanged, Reconnecting, Reconnected)
        with session.subscribe(*connection) as changes:
            room, identity = session.room, session.state.id
            for _ in range(10):
                looked = anyio.Event()
                mounted = session.mount(panel, key="panel", on_fault="raise")
                with anyio.fail_after(PATIENCE):
                    await looked.wait()
                await watcher.sees(1)
                await mounted.unmount()
            assert changes.statistics().lag == 0
            assert session.room is room
        assert [start[0] for start in starts] == [identity] * 10
        assert all(first == snapshot + 1 for _, snapshot, first in starts)
        sequences = [start[1] for start in starts]
        assert sequences == sorted(set(sequences))


async def test_the_last_surface_may_leave_and_another_come(stage: Stage) -> None:
    agent = await stage.agent()
    async with session_in(stage) as session, showing(agent):
        identity, room = session.state.id, session.room
        for turn in range(3):
            watcher = Watcher()
            mounted = session.mount(watcher, key=f"turn {turn}")
            await watcher.sees(5)
            await mounted.unmount()
            assert session.video.demand == 0
            assert session.state.surfaces == ()
        assert session.state.id == identity
        assert session.room is room
        assert session.connection_state == "connected"
