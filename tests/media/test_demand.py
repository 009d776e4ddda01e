"""Demand: a writer learns whether there are readers; a dropped reader leaves no trace."""

from __future__ import annotations

import gc

import anyio
import pytest

from livelayer_bus.media import AudioFrame, AudioWriter, VideoFrame, VideoWriter
from livelayer_bus.testing import PATIENCE

pytestmark = pytest.mark.anyio


def test_demand_follows_readers_that_attach_pause_resume_and_leave() -> None:
    writer = VideoWriter()
    seen: list[int] = []
    forget = writer.follow_demand(seen.append, lambda: None)
    subscription = writer.channel.subscribe()
    assert seen == [0]
    with subscription as first, writer.channel.subscribe():
        assert seen == [0, 1, 2]
        first.pause()
        first.pause()
        first.resume()
        first.resume()
    assert seen == [0, 1, 2, 1, 2, 1, 0]
    assert writer.demand == writer.channel.demand == 0
    forget()
    with writer.channel.subscribe():
        assert seen[-1] == 0
        assert writer.demand == 1


def test_a_subscription_that_never_attached_is_no_demand() -> None:
    writer = VideoWriter()
    kept = writer.channel.subscribe()
    for _ in range(10):
        writer.push(VideoFrame(bytes(24), 4, 4))
    assert writer.demand == 0
    assert kept.statistics().received == 0


async def test_a_paused_reader_counts_nothing_and_resumes_from_now() -> None:
    writer = VideoWriter()
    writer.set_available(True)
    got: list[int] = []

    async def read() -> None:
        async for frame in frames:
            got.append(frame.received_ns)  # noqa: PERF401 - looked at while it grows

    frames = writer.channel.subscribe()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            frames.pause()
            for number in range(5):
                writer.push(VideoFrame(bytes(24), 4, 4, received_ns=number))
                await anyio.wait_all_tasks_blocked()
            assert got == []
            assert frames.statistics().received == 0
            frames.resume()
            await anyio.wait_all_tasks_blocked()
            assert got == [4]  # the current picture
            writer.push(VideoFrame(bytes(24), 4, 4, received_ns=9))
            await anyio.wait_all_tasks_blocked()
            frames.close()
    assert got == [4, 9]


async def test_resuming_does_not_deliver_a_picture_twice() -> None:
    writer = VideoWriter()
    writer.set_available(True)
    with writer.channel.subscribe() as frames:
        writer.push(VideoFrame(bytes(24), 4, 4))
        with anyio.fail_after(PATIENCE):
            await anext(frames)
        frames.pause()
        frames.resume()
        seen = frames.statistics()
        assert (seen.delivered, seen.waiting, seen.received) == (1, 0, 1)


async def test_an_iteration_left_without_closing_stops_being_demand() -> None:
    writer = VideoWriter()
    seen: list[int] = []
    writer.follow_demand(seen.append, lambda: None)
    writer.set_available(True)
    writer.push(VideoFrame(bytes(24), 4, 4))
    async for _ in writer.channel.subscribe():
        break
    gc.collect()
    assert writer.demand == 0
    writer.push(VideoFrame(bytes(24), 4, 4))
    assert seen == [0, 1, 0]


def test_a_thousand_readers_come_and_go_while_frames_flow() -> None:
    video, audio = VideoWriter(), AudioWriter()
    for _ in range(1_000):
        with video.channel.subscribe(), audio.channel.subscribe(max_delay_ms=1_000):
            video.push(VideoFrame(bytes(24), 4, 4))
            audio.push(AudioFrame(bytes(960), 48_000, 1, 480))
    assert video.demand == audio.demand == 0
    assert video.channel.statistics().frames_alive == 1
    # What is left is what `level` looks at: 100 ms.
    assert audio.channel.statistics().frames_alive == 10
