"""Threads, event loops and processes: who may call what, and the inbox for other threads."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio.to_thread
import pytest

from livelayer_bus.bus import Bus
from livelayer_bus.errors import BusyError, ClosedError, ForkedError, WrongLoopError
from livelayer_bus.testing import PATIENCE

Idle = Callable[[Bus[Any, Any], int], Awaitable[None]]


@pytest.mark.anyio
async def test_another_thread_is_refused_by_name() -> None:
    bus: Bus[int, None] = Bus()
    events = bus.subscribe()
    for call in (lambda: bus.publish(1), events.__enter__, bus.close):
        with pytest.raises(WrongLoopError) as wrong:
            await anyio.to_thread.run_sync(call)
        assert threading.current_thread().name in wrong.value.owner
        assert "thread" in wrong.value.caller
    assert bus.sequence == 0


@pytest.mark.anyio
async def test_a_loop_in_another_thread_cannot_read() -> None:
    bus: Bus[int, None] = Bus()
    with bus.subscribe() as events:
        bus.publish(1)

        async def read() -> None:
            with pytest.raises(WrongLoopError) as wrong:
                await anext(events)
            assert "EventLoop" in wrong.value.caller

        await anyio.to_thread.run_sync(asyncio.run, read())
        assert await anext(events) == 1


@pytest.mark.anyio
async def test_events_of_other_threads_keep_their_order(idle: Idle) -> None:
    bus: Bus[tuple[int, int], None] = Bus()

    def publish_some(thread: int) -> None:
        for n in range(100):
            bus.publish_from_thread((thread, n))

    received: list[tuple[int, int]] = []

    async def read() -> None:
        with bus.subscribe() as events:
            async for event in events:
                received.append(event)
                if len(received) == 400:
                    break

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await idle(bus, 1)
            for thread in range(4):
                tasks.start_soon(anyio.to_thread.run_sync, publish_some, thread)
    for thread in range(4):
        assert [n for source, n in received if source == thread] == list(range(100))


@pytest.mark.anyio
async def test_the_inbox_is_bounded_and_counts_what_it_refuses() -> None:
    bus: Bus[int, None] = Bus(4)
    for n in range(4):
        bus.publish_from_thread(n)
    with pytest.raises(BusyError):
        bus.publish_from_thread(4)
    assert (bus.statistics().handed_over, bus.statistics().refused) == (4, 1)
    with bus.subscribe(after=0) as events, anyio.fail_after(PATIENCE):
        assert [await anext(events) for _ in range(4)] == [0, 1, 2, 3]
    bus.publish_from_thread(5)
    bus.close()
    assert bus.sequence == 5  # what was handed over before is published first
    with pytest.raises(ClosedError):
        bus.publish_from_thread(6)


def test_the_state_is_exact_in_every_thread() -> None:
    """Only odd events change the state: the others must still be counted in it."""
    bus: Bus[int, tuple[int, int]] = Bus(
        state=(0, 0),
        reducers={int: lambda state, n: (state[0] + n % 2, 0), bool: lambda state, n: state},
        as_of=lambda state, sequence: (state[0], sequence),
    )
    done = threading.Event()

    def watch() -> int:
        read = 0
        while not done.is_set():
            odd, sequence = bus.state
            assert odd == (sequence + 1) // 2
            read += 1
        return read

    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as pool:
            reads = pool.submit(watch)
            try:
                for n in range(1, 20_001):
                    bus.publish(n if n % 2 else True)  # True has a reducer, and changes nothing
            finally:
                done.set()
            assert reads.result()
    finally:
        sys.setswitchinterval(switch_interval)
    assert bus.state == (10_000, 20_000)


def test_the_inbox_waits_for_the_first_loop() -> None:
    bus: Bus[int, None] = Bus()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(bus.publish_from_thread, 1).result()
    assert bus.sequence == 0

    async def read() -> list[int]:
        with bus.subscribe() as events, anyio.move_on_after(PATIENCE):
            return [await anext(events)]
        return []

    assert asyncio.run(read()) == [1]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_second_run_takes_the_bus_over(backend: str) -> None:
    bus: Bus[int, None] = Bus()

    seen: list[int] = []

    async def read(wanted: int) -> None:
        async def publish() -> None:
            bus.publish(wanted)

        with bus.subscribe() as events, anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(publish)
                seen.append(await anext(events))

    for n in range(3):
        anyio.run(read, n, backend=backend)
    assert seen == [0, 1, 2]


def test_one_subscription_can_be_read_in_a_second_run() -> None:
    bus: Bus[int, None] = Bus()

    async def read_one(events: Any) -> int:
        asyncio.get_running_loop().call_soon(bus.publish, bus.sequence)
        async with asyncio.timeout(PATIENCE):
            result: int = await anext(events)
        return result

    with bus.subscribe() as events:
        assert [asyncio.run(read_one(events)) for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("start", [0, 300])
def test_a_second_open_loop_in_the_same_thread_is_refused(start: int) -> None:
    bus: Bus[int, None] = Bus()
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()

    async def read(events: Any, count: int) -> None:
        for _ in range(count):
            await anext(events)

    try:
        with bus.subscribe() as events:
            bus.publish(0)
            first.run_until_complete(read(events, 1))
            task = first.create_task(read(events, 1))
            first.run_until_complete(asyncio.sleep(0))
            bus.publish(0)
            first.run_until_complete(task)
            for n in range(start):
                bus.publish(n)
            with pytest.raises(WrongLoopError) as wrong:
                second.run_until_complete(read(events, start + 1))
            assert f"{id(first):#x}" in wrong.value.owner
            assert f"{id(second):#x}" in wrong.value.caller
            assert bus.statistics().idle_readers == 0
    finally:
        first.close()
        second.close()


def test_an_unused_bus_follows_the_loop_to_its_thread() -> None:
    bus: Bus[int, None] = Bus()

    async def use() -> None:
        with bus.subscribe() as events:
            bus.publish(7)
            assert await anext(events) == 7

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, use()).result()
    with pytest.raises(WrongLoopError):
        bus.publish(8)


def test_a_loop_closed_under_a_waiting_reader_does_not_hurt_the_publisher() -> None:
    bus: Bus[int, None] = Bus()
    loop = asyncio.new_event_loop()
    with bus.subscribe() as events:

        async def wait() -> None:
            await anext(events)

        waiting = wait()
        task = loop.create_task(waiting)
        loop.run_until_complete(asyncio.sleep(0))
        assert bus.statistics().idle_readers == 1
        loop.set_exception_handler(lambda *_: None)  # it will miss the task that never finished
        loop.close()
        assert bus.publish(1) == 1
        waiting.close()
        del task


@pytest.mark.skipif(sys.platform == "win32", reason="fork is POSIX")
def test_a_forked_child_is_refused() -> None:
    bus: Bus[int, None] = Bus()
    with bus.subscribe() as events:
        bus.publish(1)
        child = os.fork()
        if child == 0:
            os._exit(_refusals(bus, events))
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 5
        assert asyncio.run(_first(events)) == 1  # the parent goes on


def _refusals(bus: Bus[int, None], events: Any) -> int:
    calls: list[Callable[[], object]] = [
        lambda: bus.publish(2),
        lambda: bus.publish_from_thread(2),
        lambda: bus.subscribe().__enter__(),
        bus.statistics,
        lambda: asyncio.run(_first(events)),
    ]
    refused = 0
    for call in calls:
        try:
            call()
        except ForkedError:
            refused += 1
    return refused


async def _first(events: Any) -> int:
    result: int = await anext(events)
    return result


@pytest.mark.anyio
async def test_a_closed_subscription_leaves_the_bus_and_refuses_to_be_read(idle: Idle) -> None:
    bus: Bus[int, None] = Bus()
    reader = bus.subscribe().__enter__()

    async def wait() -> None:
        with pytest.raises(ClosedError):
            await anext(reader)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await idle(bus, 1)
            reader.close()
    assert bus.statistics().readers == 0
    reader.close()  # twice is harmless
    with pytest.raises(ClosedError):
        reader.__enter__()
