"""Finds tasks that outlive the block which started them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, TypeAlias

import anyio

from .errors import LeakedTasksError
from .waiting import settle

Tasks: TypeAlias = dict[object, str]

POLL = 0.01  # seconds between two looks


def running_tasks() -> Tasks:
    """Every task of the running loop but the caller's, with its name; on trio, system tasks too."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return dict(_trio_tasks())
    current = asyncio.current_task()
    return {task: task.get_name() for task in asyncio.all_tasks() if task is not current}


@asynccontextmanager
async def no_leaked_tasks(
    seconds: float = 1.0, *, ignore: Callable[[str], bool] | None = None
) -> AsyncGenerator[None]:
    """Require that every task started in the block has ended `seconds` after it.

    Tasks that the caller or the test runner started before are no concern of it.

    Args:
        seconds: how long a task that is being cancelled may take to end.
        ignore: called with a task's name; True: that task may stay.

    Raises:
        LeakedTasksError: some still run; their names are in the message.
    """
    before = running_tasks()
    yield
    await settle()
    with anyio.move_on_after(seconds):
        while _new(before, ignore):  # noqa: ASYNC110 - nobody announces the end of a foreign task
            await anyio.sleep(POLL)
    left = _new(before, ignore)
    if left:
        raise LeakedTasksError(tuple(sorted(left)), seconds)


def _new(before: Tasks, ignore: Callable[[str], bool] | None) -> list[str]:
    names = (name for task, name in running_tasks().items() if task not in before)
    return [name for name in names if ignore is None or not ignore(name)]


def _trio_tasks() -> Iterator[tuple[object, str]]:
    trio: Any = import_module("trio")  # only ever running where it is installed
    current = trio.lowlevel.current_task()
    waiting = [trio.lowlevel.current_root_task()]
    while waiting:
        task = waiting.pop()
        for nursery in task.child_nurseries:
            waiting.extend(nursery.child_tasks)
        if task is not current:
            yield task, task.name
