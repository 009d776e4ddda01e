"""The avatar dies and is renewed, again and again: every surface sees one channel that goes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from livelayer_bus import (
    ConnectionStateChanged,
    Reconnected,
    Reconnecting,
    Session,
    SurfaceSession,
    TrackChanged,
)
from livelayer_bus.media import VideoChannel
from livelayer_bus.testing import PATIENCE
from livelayer_bus.testing.waiting import Signal
from tests.integration.frames_kit import (
    Listener,
    Watcher,
    leaving,
    session_in,
    showing,
    speaking,
)
from tests.rooms.kit import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

RENEWALS = 10


class Chronicle:
    """A surface that notes each pause of the picture, and in which session and channel."""

    def __init__(self) -> None:
        self.changes: list[bool] = []
        self.identities: set[tuple[str, int]] = set()
        self._signal = Signal()

    async def run(self, session: SurfaceSession) -> None:
        with session.subscribe(TrackChanged) as changes:
            async for change in changes:
                if change.kind == "video":
                    self.changes.append(change.available)
                    self.identities.add((session.state.id, id(session.video)))
                    self._signal.notify()

    async def has(self, changes: int) -> None:
        """Return when it has noted so many pauses and returns."""
        with anyio.fail_after(PATIENCE):
            await self._signal.wait_for(lambda: len(self.changes) >= changes)


@asynccontextmanager
async def undisturbed(session: Session) -> AsyncGenerator[None]:
    """Fail if the session's connection changes in the block, or another one takes its place."""
    identity, room = session.state.id, session.room
    with session.subscribe(ConnectionStateChanged, Reconnecting, Reconnected) as changes:
        yield
        assert changes.statistics().lag == 0
    assert (session.state.id, session.room) == (identity, room)


async def becomes(channel: VideoChannel, available: bool) -> None:
    with anyio.fail_after(PATIENCE):
        await channel.wait_available(available)


async def test_a_track_renewed_ten_times_is_one_channel_that_pauses_and_goes_on(
    stage: Stage,
) -> None:
    watchers, chronicle = (Watcher(), Watcher()), Chronicle()
    agent = await stage.agent()
    async with session_in(stage) as session, undisturbed(session):
        session.mount(chronicle, key="chronicle")
        mounted = [
            session.mount(watcher, key=f"watcher {number}", on_fault="raise")
            for number, watcher in enumerate(watchers)
        ]
        channel = session.video
        readers = None
        for _ in range(RENEWALS):
            async with showing(agent):
                await becomes(channel, True)
                for watcher in watchers:
                    await watcher.sees(2)
                assert channel.demand == 2
            await becomes(channel, False)
            assert channel.latest is None
            assert not channel.closed
            # Not one of them had to subscribe anew.
            now = [watcher.reader for watcher in watchers]
            readers = readers or now
            assert now == readers
        assert [surface.status for surface in mounted] == ["running", "running"]
        await chronicle.has(2 * RENEWALS)
        assert chronicle.changes == [True, False] * RENEWALS
        assert [session_id for session_id, _ in chronicle.identities] == [session.state.id]
        assert channel.statistics().held <= 1


async def test_an_avatar_that_leaves_and_returns_ten_times_is_one_channel(stage: Stage) -> None:
    watcher, listener, chronicle = Watcher(), Listener(), Chronicle()
    agent = await stage.agent()
    async with session_in(stage) as session, undisturbed(session), speaking(agent):
        session.mount(chronicle, key="chronicle")
        session.mount(watcher, key="watcher")
        session.mount(listener, key="listener")
        for turn in range(RENEWALS):
            worker = await stage.agent(f"worker {turn}", None, **{"lk.publish_on_behalf": "agent"})
            # It leaves with its track published, as one that dies does.
            async with showing(worker), leaving(worker):
                await watcher.sees(2)
                assert session.state.agent_active
            await becomes(session.video, False)
            await listener.hears(2)  # the agent speaks on while its avatar is away
        await chronicle.has(2 * RENEWALS)
        assert chronicle.changes == [True, False] * RENEWALS
        assert len(chronicle.identities) == 1


async def test_the_voice_pauses_and_goes_on_with_its_agent(stage: Stage) -> None:
    listener = Listener()
    async with session_in(stage) as session, undisturbed(session):
        mounted = session.mount(listener, key="listener", on_fault="raise")
        with session.subscribe(TrackChanged) as changes:
            for _ in range(3):
                async with leaving(await stage.agent()) as agent, speaking(agent):
                    await listener.hears(5)
                with anyio.fail_after(PATIENCE):
                    await session.audio.wait_available(False)
                    heard = [await anext(changes), await anext(changes)]
                assert [(one.kind, one.available) for one in heard] == [
                    ("audio", True),
                    ("audio", False),
                ]
        assert mounted.status == "running"
