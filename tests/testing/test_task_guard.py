from __future__ import annotations

import anyio
import pytest

from livelayer_bus.tasks import RootTask, start
from livelayer_bus.testing import LeakedTasksError, no_leaked_tasks

pytestmark = pytest.mark.anyio


async def test_a_task_that_ends_in_time_is_no_leak() -> None:
    async with no_leaked_tasks():
        task = start(anyio.lowlevel.checkpoint, "short")
    assert task.ended


async def test_a_task_that_stays_is_named() -> None:
    started: list[RootTask] = []
    with pytest.raises(LeakedTasksError) as caught:
        async with no_leaked_tasks(0.05):
            started.append(start(anyio.sleep_forever, "stays"))
    assert caught.value.names == ("livelayer:stays",)
    started[0].cancel()
    assert await started[0].wait(5)


async def test_tasks_from_before_and_ignored_ones_are_no_leak() -> None:
    before = start(anyio.sleep_forever, "before")
    async with no_leaked_tasks(0.05, ignore=lambda name: "ignored" in name):
        ignored = start(anyio.sleep_forever, "ignored")
    for task in (before, ignored):
        task.cancel()
        assert await task.wait(5)


async def test_an_error_of_the_block_is_not_hidden_by_the_guard() -> None:
    with pytest.raises(ValueError, match="of the block"):
        async with no_leaked_tasks():
            raise ValueError("of the block")


async def test_the_fixture_lets_a_clean_test_pass(no_leaked_tasks: None) -> None:
    task = start(anyio.lowlevel.checkpoint, "short")
    assert await task.wait(5)
