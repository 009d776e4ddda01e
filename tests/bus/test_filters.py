"""Filters by type: what a reader sees, when it is woken, and what costs it nothing."""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from livelayer_bus.bus import Bus
from livelayer_bus.errors import Lagged, MisuseError
from livelayer_bus.testing import PATIENCE

pytestmark = pytest.mark.anyio

Idle = Callable[[Bus[Any, Any], int], Awaitable[None]]


class Base:
    pass


class A(Base):
    pass


class B(Base):
    pass


class SubA(A):
    pass


class Registered(abc.ABC):  # noqa: B024 - a virtual base class has no abstract methods here
    pass


Registered.register(B)


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        ((A,), [A, SubA]),
        ((SubA,), [SubA]),
        ((A, B), [A, B, SubA]),
        ((Base,), [A, B, SubA]),
        ((object,), [A, B, SubA, int]),
        ((Registered,), [B]),
    ],
)
async def test_a_type_includes_its_subclasses(
    types: tuple[type[object], ...], wanted: list[type]
) -> None:
    bus: Bus[Any, None] = Bus()
    bus.publish(A())  # a type known before the filter, the others after it
    with bus.subscribe(*types) as events:
        for event in (A(), B(), SubA(), 1):
            bus.publish(event)
        bus.close()
        assert [type(event) async for event in events] == wanted


async def test_a_filter_takes_types_only() -> None:
    bus: Bus[Any, None] = Bus()
    with pytest.raises(MisuseError):
        bus.subscribe("A")  # type: ignore[call-overload]  # the mistake


async def test_others_events_do_not_wake_a_reader(idle: Idle) -> None:
    bus: Bus[Any, None] = Bus()

    async def read() -> None:
        with bus.subscribe(A) as events:
            await anext(events)
            assert events.sequence == 101
            assert events.statistics().wakeups == 1

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await idle(bus, 1)
            for _ in range(100):
                bus.publish(B())
                assert bus.statistics().idle_readers == 1
            bus.publish(A())
            assert bus.statistics().idle_readers == 0


@pytest.mark.parametrize("waiting", [False, True])
async def test_others_events_never_push_a_reader_out(waiting: bool, idle: Idle) -> None:
    bus: Bus[Any, None] = Bus(4)
    seen: list[object] = []

    async def read(events: Any) -> None:
        seen.append(await anext(events))

    wanted = A()
    with anyio.fail_after(PATIENCE), bus.subscribe(A) as events:
        async with anyio.create_task_group() as tasks:
            if waiting:
                tasks.start_soon(read, events)
                await idle(bus, 1)
            for _ in range(50):
                bus.publish(B())
            assert events.lag == 0
            bus.publish(wanted)
            for _ in range(3):
                bus.publish(B())
            assert events.lag == 1
            if not waiting:
                tasks.start_soon(read, events)
        assert seen == [wanted]
        assert events.statistics().missed == 0


async def test_missed_counts_only_wanted_events() -> None:
    bus: Bus[Any, None] = Bus(4)
    with bus.subscribe(A) as events:
        for kind in (A, B, A, B, B, A, B, B, B):
            bus.publish(kind())
        with pytest.raises(Lagged) as lagged:
            await anext(events)
        assert lagged.value.missed == 2
        await anext(events)
        assert events.sequence == 6


async def test_after_with_a_filter_reads_what_was_published_before_the_filter_existed() -> None:
    bus: Bus[Any, None] = Bus(4)
    for kind in (A, A, A, B, A, B):
        bus.publish(kind())
    with bus.subscribe(A, after=3) as events:
        bus.publish(B())  # overwrites an unwanted position first, then nothing wanted
        await anext(events)
        assert events.sequence == 5
    with bus.subscribe(A, after=1) as events:
        with pytest.raises(Lagged) as lagged:
            await anext(events)
        assert lagged.value.missed == 2  # sequences 2 and 3: gone, so no filter can tell
        assert type(await anext(events)) is A


async def test_a_batch_holds_matching_events_only_and_the_sequence_of_the_last() -> None:
    bus: Bus[Any, None] = Bus()
    with bus.subscribe(A) as events:
        for n in range(1000):
            bus.publish(A() if n % 10 == 0 else B())
        batches = events.batches()
        count = 0
        while events.lag:
            batch = await anext(batches)
            count += len(batch)
            assert {type(event) for event in batch} == {A}
        assert count == 100
        assert events.sequence == 991


async def test_filters_leave_nothing_behind() -> None:
    bus: Bus[Any, None] = Bus()
    bus.publish(A())
    for _ in range(3):
        with bus.subscribe(A), bus.subscribe(B), bus.subscribe(A):
            assert bus.statistics().readers == 3
    assert bus.statistics().readers == 0
    assert not bus._ring.filtered
