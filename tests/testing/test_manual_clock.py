from __future__ import annotations

import anyio
import pytest

from livelayer_bus.errors import MisuseError
from livelayer_bus.testing import PATIENCE, ManualClock, settle

pytestmark = pytest.mark.anyio


async def test_a_sleeper_wakes_only_when_its_time_has_come(manual_clock: ManualClock) -> None:
    woken = anyio.Event()

    async def sleeper() -> None:
        await manual_clock.sleep(10)
        woken.set()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(sleeper)
            await manual_clock.wait_for_sleepers()
            assert manual_clock.next_in == 10
            manual_clock.advance(9.5)
            await settle()
            assert not woken.is_set()
            manual_clock.advance(0.5)
            await woken.wait()
    assert manual_clock.sleepers == 0


async def test_elapse_wakes_in_order_of_time_and_follows_repeated_sleeps(
    manual_clock: ManualClock,
) -> None:
    woken: list[tuple[str, float]] = []
    start = manual_clock.now()

    async def tick(name: str, seconds: float, times: int) -> None:
        for _ in range(times):
            await manual_clock.sleep(seconds)
            woken.append((name, manual_clock.now() - start))

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(tick, "slow", 3, 1)
            group.start_soon(tick, "fast", 2, 3)
            await manual_clock.wait_for_sleepers(2)
            await manual_clock.elapse(6)
    assert woken == [("fast", 2), ("slow", 3), ("fast", 4), ("fast", 6)]
    assert manual_clock.now() - start == 6


async def test_a_suspended_machine_wakes_no_sleeper_until_the_clock_goes_on(
    manual_clock: ManualClock,
) -> None:
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await manual_clock.sleep(seconds)
        woken.append(seconds)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            for seconds in (3, 1, 3600):
                group.start_soon(sleeper, seconds)
            await manual_clock.wait_for_sleepers(3)
            manual_clock.suspend(3000)
            await settle()
            assert (woken, manual_clock.now()) == ([], 4000.0)
            await manual_clock.elapse(0)
            assert sorted(woken) == [1, 3]
            await manual_clock.elapse(600)
            assert sorted(woken) == [1, 3, 3600]
    with pytest.raises(MisuseError):
        manual_clock.suspend(-1)


async def test_a_cancelled_sleeper_is_forgotten(manual_clock: ManualClock) -> None:
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(manual_clock.sleep, 10)
            await manual_clock.wait_for_sleepers()
            group.cancel_scope.cancel()
    assert manual_clock.sleepers == 0
    assert manual_clock.next_in is None


async def test_a_sleep_that_is_due_does_not_wait(manual_clock: ManualClock) -> None:
    with anyio.fail_after(PATIENCE):
        await manual_clock.sleep(0)
        await manual_clock.sleep(-1)
    assert manual_clock.now() == 1000.0


async def test_time_does_not_run_backwards(manual_clock: ManualClock) -> None:
    with pytest.raises(MisuseError):
        manual_clock.advance(-1)
    with pytest.raises(MisuseError):
        await manual_clock.elapse(-1)
