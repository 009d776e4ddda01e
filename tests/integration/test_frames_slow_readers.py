"""A surface that stalls, and one that never reads: they cost the other surfaces nothing."""

from __future__ import annotations

import anyio
import pytest

from livelayer_bus import SurfaceSession
from livelayer_bus.media import AudioFrame, ReaderStatistics, VideoFrame
from livelayer_bus.testing import PATIENCE, polled
from tests.integration.frames_kit import (
    FRAME_MS,
    Listener,
    Watcher,
    session_in,
    showing,
    speaking,
)
from tests.rooms.kit import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

FRAMES = 60  # that flow while one surface sleeps
ALIVE = 6  # the newest, one in the hands of each of four surfaces, one on its way in
SOUND_MS = 200


def exact(statistics: ReaderStatistics) -> bool:
    """Whether every frame is accounted for."""
    counted = statistics.delivered + statistics.dropped + statistics.waiting
    return statistics.received == counted


async def test_a_sleeper_and_one_that_never_reads_cost_the_others_no_picture(
    stage: Stage,
) -> None:
    watchers = Watcher(), Watcher()
    asleep, alarm, awake = anyio.Event(), anyio.Event(), anyio.Event()
    idle: list[ReaderStatistics] = []

    async def sleeper(session: SurfaceSession) -> None:
        channel = session.video
        with channel.subscribe() as frames:
            await anext(frames)
            before, pushed = frames.statistics(), channel.statistics().pushed
            asleep.set()
            await alarm.wait()
            slept = frames.statistics()
            missed = channel.statistics().pushed - pushed
            assert missed >= FRAMES
            assert slept.received == before.received + missed
            assert slept.waiting == 1
            assert exact(slept)
            assert await anext(frames) is channel.latest
            woken = frames.statistics()
            assert woken.delivered == before.delivered + 1
            assert woken.dropped == before.received + missed - woken.delivered
            assert exact(woken)
            awake.set()

    async def never_reads(session: SurfaceSession) -> None:
        with session.video.subscribe() as frames:
            asleep_too.set()
            await alarm.wait()
            idle.append(frames.statistics())
            awake_too.set()
            await anyio.sleep_forever()

    asleep_too, awake_too = anyio.Event(), anyio.Event()
    agent = await stage.agent()
    async with session_in(stage) as session, showing(agent):
        sleeping = session.mount(sleeper, key="sleeper", on_fault="raise")
        session.mount(never_reads, key="idle", on_fault="raise")
        for number, watcher in enumerate(watchers):
            session.mount(watcher, key=f"watcher {number}")
        with anyio.fail_after(PATIENCE):
            await asleep.wait()
            await asleep_too.wait()
        for watcher in watchers:
            await watcher.sees(1)
        for watcher in watchers:  # they go on as if no surface slept
            await watcher.sees(FRAMES)
        alarm.set()
        with anyio.fail_after(PATIENCE):
            await sleeping.wait()
            await awake_too.wait()
        for watcher in watchers:
            assert watcher.most_alive <= ALIVE
            assert watcher.alive <= ALIVE
            assert watcher.reader is not None
            read = watcher.reader.statistics()
            assert exact(read)
            assert watcher.received_ns == sorted(set(watcher.received_ns))
        assert idle[0].delivered == 0
        assert idle[0].waiting == 1
        assert idle[0].received >= FRAMES
        assert exact(idle[0])


async def test_a_sleeper_gets_the_last_of_the_sound_in_order(stage: Stage) -> None:
    listener = Listener()
    asleep, alarm = anyio.Event(), anyio.Event()

    async def sleeper(session: SurfaceSession) -> None:
        channel = session.audio
        with channel.subscribe(max_delay_ms=SOUND_MS) as sound:
            await anext(sound)
            before, pushed = sound.statistics(), channel.statistics().pushed
            asleep.set()
            await alarm.wait()
            slept = sound.statistics()
            missed = channel.statistics().pushed - pushed
            assert missed > 2 * SOUND_MS / FRAME_MS
            assert slept.received == before.received + missed
            assert slept.waiting == SOUND_MS / FRAME_MS
            assert exact(slept)
            kept: list[AudioFrame] = [await anext(sound) for _ in range(slept.waiting)]
            times = [frame.received_ns for frame in kept]
            assert times == sorted(times)
            assert kept[-1] is channel.latest
            assert sound.statistics().dropped == slept.dropped
            assert exact(sound.statistics())

    agent = await stage.agent()
    async with session_in(stage) as session, speaking(agent):
        sleeping = session.mount(sleeper, key="sleeper", on_fault="raise")
        session.mount(listener, key="listener")
        with anyio.fail_after(PATIENCE):
            await asleep.wait()
        await listener.hears(100)
        await polled(lambda: session.audio.statistics().frames_alive <= 2 * SOUND_MS / FRAME_MS)
        alarm.set()
        with anyio.fail_after(PATIENCE):
            await sleeping.wait()


async def test_what_a_surface_holds_is_all_that_stays(stage: Stage) -> None:
    watcher = Watcher()
    held: list[VideoFrame] = []

    async def holder(session: SurfaceSession) -> None:
        with session.video.subscribe() as frames:
            while True:
                held.append(await anext(frames))

    agent = await stage.agent()
    async with session_in(stage) as session, showing(agent):
        session.mount(watcher, key="watcher")
        holding = session.mount(holder, key="holder")
        await watcher.sees(20)
        await holding.unmount()
        counted = session.video.statistics()
        assert len(held) <= counted.frames_alive <= len(held) + ALIVE
        assert counted.bytes_alive >= sum(frame.nbytes for frame in held)
        held.clear()
        assert session.video.statistics().frames_alive <= ALIVE
