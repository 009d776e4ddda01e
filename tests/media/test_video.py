"""VideoChannel: the newest frame for every reader; misses are counted, nothing accumulates."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from livelayer_bus.errors import BusyError, ClosedError, MisuseError, WrongLoopError
from livelayer_bus.media import Timing, VideoFrame, VideoSubscription, VideoWriter
from livelayer_bus.testing import PATIENCE

pytestmark = pytest.mark.anyio
MS = 1_000_000  # nanoseconds


def picture(received_ns: int = 0) -> VideoFrame:
    return VideoFrame(bytes(24), 4, 4, received_ns=received_ns)


def live() -> VideoWriter:
    writer = VideoWriter(now_ns=lambda: 1_000)
    writer.set_available(True)
    return writer


async def next_of(frames: VideoSubscription) -> VideoFrame:
    with anyio.fail_after(PATIENCE):
        return await anext(frames)


async def test_every_reader_gets_the_same_object() -> None:
    writer = live()
    with writer.channel.subscribe() as first, writer.channel.subscribe() as second:
        frame = picture()
        writer.push(frame)
        assert await next_of(first) is frame
        assert await next_of(second) is frame


async def test_a_slow_reader_wakes_on_the_newest_and_its_drops_are_exact() -> None:
    writer = live()
    with writer.channel.subscribe() as frames:
        for number in range(10):
            writer.push(picture(number))
        assert (await next_of(frames)).received_ns == 9
        seen = frames.statistics()
        assert (seen.received, seen.delivered, seen.dropped, seen.waiting) == (10, 1, 9, 0)


@given(steps=st.lists(st.sampled_from(["push", "read", "discard", "pause", "resume"]), max_size=60))
def test_counts_always_add_up(steps: list[str]) -> None:
    # Nothing here waits, so the coroutine of a read with a frame waiting ends at its first send.
    writer = live()
    attached, pushed, taken = True, 0, 0
    with writer.channel.subscribe() as frames:
        for step in steps:
            if step == "push":
                writer.push(picture())
                pushed += attached
            elif step == "read" and frames.statistics().waiting:
                with pytest.raises(StopIteration):
                    frames.__anext__().send(None)
                taken += 1
            elif step == "discard":
                writer.discard()
            elif step == "pause":
                frames.pause()
                attached = False
            elif step == "resume" and not attached:
                shown = writer.channel.latest is not None
                before = frames.statistics().received
                frames.resume()
                attached = True
                pushed += frames.statistics().received - before
                assert frames.statistics().received - before <= shown
            seen = frames.statistics()
            assert seen.received == pushed == seen.delivered + seen.dropped + seen.waiting
            assert seen.delivered == taken
            assert seen.paused is not attached


async def test_a_sleeping_reader_and_one_that_never_reads_keep_one_frame_alive() -> None:
    writer = live()
    alive: list[weakref.ref[VideoFrame]] = []
    with writer.channel.subscribe() as sleeper, writer.channel.subscribe() as never:
        writer.push(picture())
        await next_of(sleeper)

        def push(number: int) -> None:
            frame = picture(number)
            alive.append(weakref.ref(frame))
            writer.push(frame)

        for number in range(1, 1_001):
            push(number)
        assert sum(ref() is not None for ref in alive) == 1
        assert writer.channel.statistics().frames_alive == 1
        assert writer.channel.statistics().bytes_alive == 24
        assert (await next_of(sleeper)).received_ns == 1_000
        assert sleeper.statistics().dropped == 999
        assert never.statistics().dropped == 1_000


async def test_frames_still_referenced_are_counted_with_their_conversions() -> None:
    writer = live()
    kept = [picture() for _ in range(3)]
    for number in range(3):
        writer.push(kept[number])
    kept[0].to_ndarray("rgb24")
    seen = writer.channel.statistics()
    assert (seen.pushed, seen.held, seen.frames_alive) == (3, 1, 3)
    assert seen.bytes_alive == 3 * 24 + 4 * 4 * 3
    kept.clear()
    assert writer.channel.statistics().frames_alive == 1


async def test_a_late_reader_starts_with_the_current_picture_while_there_is_a_track() -> None:
    writer = live()
    frame = picture()
    writer.push(frame)
    with writer.channel.subscribe() as frames:
        assert await next_of(frames) is frame
        assert frames.statistics().dropped == 0
    writer.set_available(False)
    assert writer.channel.latest is None
    with writer.channel.subscribe() as frames:
        assert frames.statistics().waiting == 0


async def test_a_track_that_vanishes_and_returns_does_not_end_the_iteration() -> None:
    writer = live()
    got: list[int] = []

    async def read() -> None:
        got.extend([frame.received_ns async for frame in writer.channel.subscribe()])

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            for number in range(10):
                await anyio.wait_all_tasks_blocked()
                writer.set_available(True)
                writer.push(picture(number))
                await anyio.wait_all_tasks_blocked()
                writer.set_available(False)
            writer.close()
    assert got == list(range(10))


async def test_discard_lets_nothing_of_the_old_agent_through() -> None:
    writer = live()
    with writer.channel.subscribe() as frames:
        writer.push(picture(1))
        writer.discard()
        writer.push(picture(2))
        assert (await next_of(frames)).received_ns == 2
        assert frames.statistics().dropped == 1


async def test_waiting_for_a_track_and_for_its_end() -> None:
    writer = VideoWriter()
    seen: list[str] = []

    async def watch() -> None:
        await writer.channel.wait_available()
        seen.append("there")
        await writer.channel.wait_available(False)
        seen.append("gone")
        with pytest.raises(ClosedError):
            await writer.channel.wait_available()
        seen.append("closed")

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await anyio.wait_all_tasks_blocked()
            assert seen == []
            writer.set_available(True)
            await anyio.wait_all_tasks_blocked()
            assert seen == ["there"]
            writer.set_available(False)
            await anyio.wait_all_tasks_blocked()
            assert seen == ["there", "gone"]
            writer.close()
    assert seen == ["there", "gone", "closed"]


async def test_closing_delivers_what_is_kept_and_then_ends_every_reader() -> None:
    writer = live()
    with writer.channel.subscribe() as frames, writer.channel.subscribe() as paused:
        paused.pause()
        writer.push(picture(5))
        writer.close()
        writer.close()
        with anyio.fail_after(PATIENCE):
            assert [frame.received_ns async for frame in frames] == [5]
            assert [frame async for frame in paused] == []
    assert writer.channel.statistics().frames_alive == 0
    with pytest.raises(ClosedError):
        writer.push(picture())
    with pytest.raises(ClosedError):
        writer.set_available(True)
    with writer.channel.subscribe() as late, anyio.fail_after(PATIENCE):
        assert [frame async for frame in late] == []


async def test_closing_wakes_parked_readers_paused_ones_too() -> None:
    writer = live()

    async def read(paused: bool) -> None:
        with writer.channel.subscribe() as frames:
            if paused:
                frames.pause()
            assert [frame async for frame in frames] == []

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, False)
            tasks.start_soon(read, True)
            await anyio.wait_all_tasks_blocked()
            writer.close()


async def test_closing_a_subscription_ends_the_task_that_waits_on_it() -> None:
    writer = live()
    ended = False
    frames = writer.channel.subscribe()

    async def read(frames: VideoSubscription) -> None:
        nonlocal ended
        assert [frame async for frame in frames] == []
        ended = True

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, frames)
            await anyio.wait_all_tasks_blocked()
            await frames.aclose()
    assert ended
    with pytest.raises(ClosedError), frames:
        pass


async def test_a_second_task_on_one_subscription_is_refused() -> None:
    writer = live()
    with writer.channel.subscribe() as frames:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(next_of, frames)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(BusyError):
                await next_of(frames)
            writer.push(picture())


async def test_a_cancelled_wait_loses_nothing() -> None:
    writer = live()
    with writer.channel.subscribe() as frames:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(next_of, frames)
            await anyio.wait_all_tasks_blocked()
            writer.push(picture(3))  # wakes the reader, which is cancelled before it runs
            tasks.cancel_scope.cancel()
        seen = frames.statistics()
        assert seen.dropped == 0
        assert seen.delivered + seen.waiting == 1
        if seen.waiting:
            assert (await next_of(frames)).received_ns == 3


async def test_cancelled_waits_do_not_pile_up() -> None:
    writer = live()
    with writer.channel.subscribe() as frames:
        for _ in range(50):
            with anyio.move_on_after(0):
                await anext(frames)
        assert not writer.parked
        writer.push(picture(1))
        assert (await next_of(frames)).received_ns == 1


@pytest.mark.parametrize(
    ("fps", "max_fps", "expected"), [(30, 15, 150), (30, 10, 100), (30, 1, 10), (30, 60, 300)]
)
async def test_max_fps_holds_on_average_whatever_the_jitter(
    fps: int, max_fps: float, expected: int
) -> None:
    writer = live()
    got: list[int] = []

    async def read() -> None:
        with writer.channel.subscribe(max_fps=max_fps) as frames:
            got.extend([frame.received_ns async for frame in frames])
            seen = frames.statistics()
            assert seen.received == 10 * fps == seen.delivered + seen.dropped

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            for number in range(10 * fps):  # ten seconds of a camera that jitters by 3 ms
                jitter = (-3 * MS, 3 * MS, 0)[number % 3]
                writer.push(picture(number * 1_000 * MS // fps + jitter))
                for _ in range(3):
                    await checkpoint()
            writer.close()
    assert expected - 2 <= len(got) <= expected + 1


async def test_a_frame_that_is_not_due_does_not_wake_a_paced_reader() -> None:
    writer = live()
    with writer.channel.subscribe(max_fps=10) as frames:
        writer.push(picture(0))
        await next_of(frames)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(next_of, frames)
            await anyio.wait_all_tasks_blocked()
            (slot,) = writer.parked
            writer.push(picture(99 * MS))
            assert not slot.done()
            writer.push(picture(100 * MS))
            assert slot.done()
        seen = frames.statistics()
        assert (seen.delivered, seen.dropped) == (2, 1)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(MisuseError, match="max_fps"):
        VideoWriter().channel.subscribe(max_fps=rate)
    gc.collect()


async def test_pushing_from_another_thread_names_both_threads() -> None:
    writer = live()
    frames = writer.channel.subscribe()
    calls: list[Callable[[], object]] = [
        lambda: writer.push(picture()),
        lambda: writer.set_available(False),
        writer.discard,
        writer.close,
        frames.__enter__,
        frames.close,
    ]
    for call in calls:
        with pytest.raises(WrongLoopError, match="thread"):
            await anyio.to_thread.run_sync(call)
    assert writer.channel.available
    assert writer.channel.statistics().pushed == 0


def test_a_reader_in_another_threads_loop_is_refused() -> None:
    writer = live()

    async def read() -> None:
        with pytest.raises(WrongLoopError), writer.channel.subscribe():
            pass
        with pytest.raises(WrongLoopError):
            await anext(writer.channel.subscribe())

    async def outside() -> None:
        await anyio.to_thread.run_sync(anyio.run, read)

    anyio.run(outside)


async def test_latency_and_hold_come_from_the_given_clock() -> None:
    now = [0]
    writer = VideoWriter(now_ns=lambda: now[0])
    with writer.channel.subscribe() as frames:
        for late_ns, work_ns in ((7, 20), (9, 50), (0, 30)):
            writer.push(picture(now[0] - late_ns))
            await next_of(frames)
            now[0] += work_ns
        seen = frames.statistics()
    assert seen.latency == Timing(last_ns=0, p50_ns=7, p95_ns=7, max_ns=9, measured=3)
    assert seen.hold == Timing(
        last_ns=50, p50_ns=20, p95_ns=20, max_ns=50, measured=2
    )  # the third goes on
