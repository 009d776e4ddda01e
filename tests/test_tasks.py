"""Root tasks: what their owner learns, and how they end."""

from __future__ import annotations

import anyio
import pytest

from livelayer_bus.tasks import TaskOwner, fault_of
from livelayer_bus.testing.waiting import PATIENCE, settle

pytestmark = pytest.mark.anyio


async def test_a_fault_is_told_to_the_owner_and_to_nobody_else() -> None:
    owner = TaskOwner()

    async def fail() -> None:
        raise ValueError("broken")

    task = owner.start(fail, "failing")

    assert await task.wait(PATIENCE)
    assert isinstance(task.error, ValueError)


async def test_a_fault_beside_a_cancellation_does_not_escape() -> None:
    owner = TaskOwner()
    running = anyio.Event()

    async def fail_when_cancelled() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            running.set()
            try:
                await anyio.sleep_forever()
            finally:
                raise ValueError("broken while ending")

    task = owner.start(fail_when_cancelled, "failing late")
    await running.wait()

    assert await owner.aclose(PATIENCE) == ()
    assert task.ended


async def test_a_task_cancelled_before_its_first_step_has_ended() -> None:
    owner = TaskOwner()
    ran: list[str] = []

    async def work() -> None:
        ran.append("ran")
        await anyio.sleep_forever()

    task = owner.start(work, "stillborn")
    task.cancel()

    assert await task.wait(PATIENCE)
    assert await owner.aclose(0) == ()


async def test_closing_names_what_ignores_its_cancellation() -> None:
    owner = TaskOwner()
    released, stuck = anyio.Event(), anyio.Event()

    async def ignore() -> None:
        with anyio.CancelScope(shield=True):
            stuck.set()
            try:
                await released.wait()
            except anyio.get_cancelled_exc_class():
                await released.wait()

    task = owner.start(ignore, "stubborn")
    await stuck.wait()
    names = await owner.aclose(0.01)
    released.set()

    assert names == ("stubborn",)
    assert await task.wait(PATIENCE)


async def test_foreign_code_returns_its_fault() -> None:
    def fail() -> None:
        raise KeyError("x")

    assert isinstance(await fault_of(fail), KeyError)
    assert await fault_of(lambda: None) is None


async def test_a_cancelled_task_of_nested_groups_has_no_fault() -> None:
    owner = TaskOwner()
    running = anyio.Event()
    faults: list[BaseException | None] = []

    async def end_late() -> None:
        try:
            running.set()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await settle(2)

    async def nest() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(end_late)
            await anyio.sleep_forever()

    async def work() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(nest)
            await anyio.sleep_forever()

    async def guarded() -> None:
        faults.append(await fault_of(work))

    task = owner.start(guarded, "nested")
    await running.wait()

    assert await owner.aclose(PATIENCE) == ()
    assert task.ended
    assert faults == []
