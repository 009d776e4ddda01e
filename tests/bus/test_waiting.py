"""Waiting for events: wake-ups, cancellation, fairness, memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from livelayer_bus.bus import Bus, Subscription
from livelayer_bus.errors import Lagged, MisuseError
from livelayer_bus.testing import PATIENCE

pytestmark = pytest.mark.anyio

Idle = Callable[[Bus[Any, Any], int], Awaitable[None]]


@pytest.mark.parametrize("form", ["__aiter__", "records", "batches"])
async def test_one_wake_up_a_drain(form: str, idle: Idle) -> None:
    bus: Bus[int, None] = Bus()
    readers: list[Any] = []

    async def read() -> None:
        with bus.subscribe() as events:
            readers.append(events)
            async for _ in getattr(events, form)():
                pass

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(read)
            for burst in range(4):
                await idle(bus, 3)
                for n in range(50):
                    bus.publish(n)
                assert [reader.statistics().wakeups for reader in readers] == [burst] * 3
            await idle(bus, 3)
            bus.close()
    for reader in readers:
        statistics = reader.statistics()
        assert (statistics.wakeups, statistics.delivered, statistics.lag) == (4, 200, 0)
        assert statistics.peak_lag == 50


@pytest.mark.parametrize("form", ["__aiter__", "records", "batches"])
async def test_a_cancelled_wait_loses_nothing(form: str, idle: Idle) -> None:
    bus: Bus[int, None] = Bus()
    got: list[int] = []

    async def take(iterator: Any) -> None:
        item = await anext(iterator)
        got.append(
            {"records": lambda: item.event, "batches": lambda: item[0]}.get(form, lambda: item)()
        )

    with bus.subscribe() as events:
        for woken_first in (False, True):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(take, getattr(events, form)())
                await idle(bus, 1)
                if woken_first:
                    bus.publish(bus.sequence)
                tasks.cancel_scope.cancel()
            assert bus.statistics().idle_readers == 0
            if not woken_first:
                bus.publish(bus.sequence)
            assert len(got) + events.lag == bus.sequence
            with anyio.fail_after(PATIENCE):
                while events.lag:
                    await take(getattr(events, form)())
    assert got == [0, 1]


@pytest.mark.parametrize("types", [(), (int,)])
@pytest.mark.parametrize("form", ["__aiter__", "records", "batches"])
async def test_a_resync_between_waking_and_running_passes_over_the_event(
    form: str, types: tuple[type[int], ...], idle: Idle
) -> None:
    bus: Bus[int, None] = Bus()
    got: list[Any] = []

    with anyio.fail_after(PATIENCE), bus.subscribe(*types) as events:

        async def take() -> None:
            got.append(await anext(getattr(events, form)()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take)
            await idle(bus, 1)
            bus.publish(1)
            events.resync()
            await idle(bus, 1)
            assert got == []
            bus.publish(2)
        assert (events.sequence, events.lag) == (2, 0)
    (item,) = got
    assert {"records": lambda: item.event, "batches": lambda: item[0]}.get(
        form, lambda: item
    )() == 2


async def test_cancelled_waits_do_not_pile_up() -> None:
    bus: Bus[int, None] = Bus()

    async def wait_in_vain(events: Any) -> None:
        for _ in range(500):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anext(events)
            assert scope.cancelled_caught

    with bus.subscribe() as events, bus.subscribe(int) as filtered:
        await wait_in_vain(events)
        await wait_in_vain(filtered)
        gc.collect()
        tracemalloc.start()
        try:
            await wait_in_vain(events)
            await wait_in_vain(filtered)
            gc.collect()
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert bus.statistics().idle_readers == 0
        assert size < 20_000
        bus.publish(1)
        assert await anext(events) == await anext(filtered) == 1


@pytest.mark.parametrize("form", ["__aiter__", "records", "batches"])
async def test_a_reader_under_load_can_be_cancelled(form: str) -> None:
    bus: Bus[int, None] = Bus()
    taken = 0
    with bus.subscribe() as events:
        bus.publish(0)
        with anyio.move_on_after(PATIENCE) as scope:
            async for _ in getattr(events, form)():
                taken += 1
                if taken == 10:
                    scope.cancel()
                bus.publish(0)  # there is always one more
                assert taken < 10_000
    assert scope.cancelled_caught
    assert 10 <= taken <= 10 + 256


async def test_other_tasks_run_at_least_every_256_events() -> None:
    bus: Bus[int, None] = Bus()
    taken = 0
    seen: list[int] = []

    async def watch() -> None:
        while taken < 2000:
            seen.append(taken)
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(PATIENCE), bus.subscribe() as events:
        for n in range(2000):
            bus.publish(n)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            async for _ in events:
                taken += 1
                if taken == 2000:
                    break
    gaps = [later - earlier for earlier, later in zip(seen, [*seen[1:], 2000], strict=True)]
    assert max(gaps) <= 2 * 256  # trio shuffles the tasks of a turn: first in one, last in the next


@pytest.mark.parametrize("types", [(), (object,)])
@pytest.mark.parametrize("form", ["__aiter__", "records", "batches"])
async def test_an_event_that_was_overwritten_is_not_kept_alive_by_a_slow_reader(
    form: str, types: tuple[type[Any], ...]
) -> None:
    class Event:
        alive = 0

        def __init__(self) -> None:
            Event.alive += 1

        def __del__(self) -> None:
            Event.alive -= 1

    bus: Bus[Event, None] = Bus(8)
    with bus.subscribe(*types) as events:
        for _ in range(8):
            bus.publish(Event())
        await anext(getattr(events, form)())
        for _ in range(100):
            bus.publish(Event())
        gc.collect()
        assert Event.alive == 8


async def test_ten_thousand_attaches_under_load_have_no_gap_and_no_duplicate() -> None:
    """The snapshot is a running total of the events: any gap or duplicate breaks the sum."""
    attaches, at_once = 10_000, 20

    def add(total: int, n: int) -> int:
        return total + n

    bus: Bus[int, int] = Bus(state=0, reducers={int: add})
    checked = 0

    async def attach_again_and_again(count: int) -> None:
        nonlocal checked
        for turn in range(count):
            with bus.subscribe() as events:
                expected, mirrored = events.sequence, events.snapshot
                assert mirrored == expected * (expected + 1) // 2
                async for record in events.records():
                    expected += 1
                    mirrored += record.event
                    assert record.sequence == record.event == expected
                    if record.sequence == bus.sequence:
                        assert mirrored == bus.state
                        break
                checked += 1
            if turn % 7 == 0:
                await anyio.lowlevel.checkpoint()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(at_once):
                tasks.start_soon(attach_again_and_again, attaches // at_once)
            while checked < attaches:
                for _ in range(3):
                    bus.publish(bus.sequence + 1)
                await anyio.lowlevel.checkpoint()
    assert checked == attaches
    assert bus.statistics().readers == 0


@pytest.mark.parametrize("types", [(), (int,)])
async def test_a_restart_wakes_the_readers_that_wait(types: tuple[type, ...], idle: Idle) -> None:
    bus: Bus[int, str] = Bus(state="old", reducers={})
    seen: list[object] = []

    async def read() -> None:
        events: Subscription[Any, str] = bus.subscribe(*types)
        with events:
            with pytest.raises(Lagged) as lagged:
                await anext(events)
            seen.append(lagged.value.missed)
            seen.append(await anext(events))
            seen.append(events.sequence)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await idle(bus, 1)
            bus.restart(7, "new")
            bus.publish(8)
    assert seen == [7, 8, 8]
    assert (bus.state, bus.sequence) == ("new", 8)
    with pytest.raises(MisuseError, match="has published 8"):
        bus.restart(7, "older")
