"""Reading from a bus: order, cursors, the three forms of iteration, falling out of the ring."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from livelayer_bus.bus import Bus, Record
from livelayer_bus.clock import now_ns
from livelayer_bus.errors import (
    BusyError,
    ClosedError,
    Lagged,
    MisuseError,
    NotSupportedError,
    StaleCursorError,
)
from livelayer_bus.testing import PATIENCE

pytestmark = pytest.mark.anyio


Idle = Callable[[Bus[Any, Any], int], Awaitable[None]]


def add(total: int, n: int) -> int:
    return total + n


def new_bus(capacity: int = 4096, **options: Any) -> Bus[Any, None]:
    return Bus(capacity, **options)


async def test_sequences_start_at_one_and_have_no_holes() -> None:
    bus = new_bus()
    assert bus.sequence == 0
    assert [bus.publish(object()) for _ in range(5)] == [1, 2, 3, 4, 5]
    assert bus.sequence == 5


async def test_a_reader_sees_what_comes_after_its_entry_in_order() -> None:
    bus = new_bus()
    bus.publish("before")
    subscription = bus.subscribe()
    bus.publish("between subscribe() and the with block")
    with subscription as events:
        assert events.sequence == 2
        assert events.lag == 0
        for n in range(3):
            bus.publish(n)
        assert events.lag == 3
        assert [await anext(events) for _ in range(3)] == [0, 1, 2]
        assert (events.sequence, events.lag) == (5, 0)


async def test_async_for_ends_after_what_is_kept_when_the_bus_closes() -> None:
    bus = new_bus()
    with bus.subscribe() as events:
        bus.publish(1)
        bus.publish(2)
        bus.close()
        bus.close()
        assert [event async for event in events] == [1, 2]
        assert [event async for event in events] == []
    with pytest.raises(ClosedError):
        bus.publish(3)
    with pytest.raises(ClosedError), bus.subscribe():
        pass


async def test_closing_ends_a_reader_that_waits(idle: Idle) -> None:
    bus = new_bus()
    seen: list[object] = []

    async def read() -> None:
        with bus.subscribe() as events:
            seen.extend([event async for event in events])

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await idle(bus, 1)
            bus.publish("last")
            bus.close()
    assert seen == ["last"]


async def test_a_break_and_a_new_loop_read_on() -> None:
    bus = new_bus()
    with bus.subscribe() as events:
        for n in range(4):
            bus.publish(n)
        async for event in events:
            if event == 1:
                break
        bus.close()
        assert [event async for event in events] == [2, 3]


async def test_records_carry_sequence_and_monotonic_time() -> None:
    bus = new_bus()
    with bus.subscribe() as events:
        before = now_ns()
        bus.publish("a")
        bus.publish("b")
        after = now_ns()
        bus.close()
        records = [record async for record in events.records()]
    assert [(record.sequence, record.event) for record in records] == [(1, "a"), (2, "b")]
    assert before <= records[0].time_ns <= records[1].time_ns <= after
    assert isinstance(records[0], Record)


@pytest.mark.parametrize("types", [(), (int,)])
async def test_batches_take_everything_there_is_and_never_nothing(
    types: tuple[type[int], ...],
) -> None:
    bus = new_bus()
    with bus.subscribe(*types) as events:
        for n in range(600):
            bus.publish(n)
        batches = events.batches()
        assert await anext(batches) == tuple(range(600))
        for n in range(600):
            bus.publish(n)
        bus.close()
        assert [len(batch) async for batch in events.batches(limit=250)] == [250, 250, 100]
    with pytest.raises(MisuseError):
        events.batches(limit=0)


@pytest.mark.parametrize("types", [(), (int,)])
async def test_readers_that_are_equally_far_share_a_batch(types: tuple[type[int], ...]) -> None:
    bus = new_bus()
    with bus.subscribe(*types) as one, bus.subscribe(*types) as two, bus.subscribe(str) as other:
        for event in (1, 2, "a"):
            bus.publish(event)
        first = await anext(one.batches(limit=2))
        assert first == (1, 2)
        assert await anext(two.batches(limit=2)) is first
        assert await anext(other.batches()) == ("a",)


async def test_the_forms_of_iteration_share_one_cursor_across_the_rings_seam() -> None:
    bus = new_bus(7)
    with bus.subscribe() as events:
        n = 0
        for _ in range(20):
            for _ in range(5):
                bus.publish(n := n + 1)
            assert await anext(events) == n - 4
            assert (await anext(events.records())).event == n - 3
            assert await anext(events.batches()) == (n - 2, n - 1, n)
            assert events.sequence == n


async def test_lagged_tells_the_exact_number_and_reading_goes_on_at_the_oldest_kept() -> None:
    bus = new_bus(4)
    with bus.subscribe() as events:
        for n in range(1, 11):
            bus.publish(n)
        assert events.lag == 10
        with pytest.raises(Lagged) as lagged:
            await anext(events)
        assert lagged.value.missed == 6
        assert (events.sequence, events.lag) == (6, 4)
        assert [await anext(events) for _ in range(4)] == [7, 8, 9, 10]
        statistics = events.statistics()
    assert (statistics.delivered, statistics.missed, statistics.peak_lag) == (4, 6, 10)


@pytest.mark.parametrize("form", ["__aiter__", "records", "batches"])
async def test_one_iterator_survives_lagged(form: str) -> None:
    bus = new_bus(2)
    with bus.subscribe() as events:
        iterator = getattr(events, form)()
        for _ in range(2):
            for n in range(5):
                bus.publish(n)
            with pytest.raises(Lagged) as lagged:
                await anext(iterator)
            assert lagged.value.missed == 3
            await anext(iterator)
            events.resync()


async def test_falling_out_in_the_middle_of_reading_is_noticed_at_once() -> None:
    bus = new_bus(8)
    with bus.subscribe() as events:
        for n in range(1, 9):
            bus.publish(n)
        assert [await anext(events), await anext(events)] == [1, 2]
        for n in range(9, 14):
            bus.publish(n)
        with pytest.raises(Lagged) as lagged:
            await anext(events)
        assert lagged.value.missed == 3
        assert [await anext(events) for _ in range(8)] == list(range(6, 14))


async def test_resync_moves_to_the_head() -> None:
    bus = new_bus(4)
    with bus.subscribe() as events:
        for n in range(10):
            bus.publish(n)
        assert events.resync() is None
        assert (events.sequence, events.lag) == (10, 0)
        bus.publish("next")
        assert await anext(events) == "next"
        assert events.statistics().skipped == 10


async def test_after_reads_on_from_a_cursor() -> None:
    bus = new_bus(4)
    for n in range(1, 11):
        bus.publish(n)
    with bus.subscribe(after=8) as events:
        assert events.sequence == 8
        assert [await anext(events), await anext(events)] == [9, 10]
    with bus.subscribe(after=2) as events:
        assert events.sequence == 2
        with pytest.raises(Lagged) as lagged:
            await anext(events)
        assert lagged.value.missed == 4
        assert await anext(events) == 7
    for wrong in (11, -1):
        with pytest.raises(StaleCursorError), bus.subscribe(after=wrong):
            pass
    assert bus.statistics().readers == 0


async def test_use_outside_the_with_block_is_refused() -> None:
    bus = new_bus()
    events = bus.subscribe()
    with pytest.raises(MisuseError):
        await anext(events)
    with pytest.raises(MisuseError):
        events.resync()
    with events:
        bus.publish(1)
        bus.publish(2)
        assert await anext(events) == 1
        with pytest.raises(MisuseError), events:
            pass
    for read in (events, events.records(), events.batches()):
        with pytest.raises(ClosedError):
            await anext(read)
    with pytest.raises(ClosedError), events:
        pass
    assert events.sequence == 1


async def test_leaving_the_block_ends_a_task_that_waits_inside(idle: Idle) -> None:
    bus = new_bus()
    ended: list[bool] = []

    async def read(events: Any) -> None:
        with pytest.raises(ClosedError):
            await anext(events)
        ended.append(True)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            with bus.subscribe() as events:
                tasks.start_soon(read, events)
                await idle(bus, 1)
    assert ended == [True]


async def test_a_second_task_in_one_reader_is_busy(idle: Idle) -> None:
    bus = new_bus()
    with anyio.fail_after(PATIENCE), bus.subscribe() as events:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anext, events)
            await idle(bus, 1)
            for read in (events, events.records(), events.batches()):
                with pytest.raises(BusyError):
                    await anext(read)
            bus.publish(1)
            with pytest.raises(BusyError):  # woken, but it has not run yet
                await anext(events)
        assert events.sequence == 1


async def test_snapshots_belong_to_the_attach_point_and_to_resync() -> None:
    bus: Bus[int, int] = Bus(4, state=0, reducers={int: add})
    publish = bus.publish
    publish(5)
    with bus.subscribe() as events:
        assert (events.snapshot, events.sequence) == (5, 1)
        publish(6)
        assert events.snapshot == 5
        for _ in range(10):
            publish(1)
        assert events.resync() == events.snapshot == 21
        assert events.sequence == 12
    with bus.subscribe(after=bus.sequence) as events:
        with pytest.raises(MisuseError):
            _ = events.snapshot
        assert events.resync() == events.snapshot == 21
    with new_bus().subscribe() as plain, pytest.raises(NotSupportedError):
        _ = plain.snapshot
