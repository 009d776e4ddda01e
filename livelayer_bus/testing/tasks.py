"""Finds tasks that outlive the block that started them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, TypeAlias

import anyio

from ..errors import MisuseError
from .waiting import settle

Tasks: TypeAlias = dict[object, str]

POLL = 0.01  # seconds between two looks


class LeakedTasksError(MisuseError, AssertionError):
    """Tasks that were started inside a guarded block still run after its end."""

    def __init__(self, names: tuple[str, ...], seconds: float) -> None:
        super().__init__(
            f"{len(names)} tasks still run {seconds:g} s after the block that started them: "
            f"{', '.join(names)}; cancel and await what you start"
        )
        self.names = names
        self.seconds = seconds


def running_tasks() -> Tasks:
    """Every task of the running loop with its name; on trio, system tasks too."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return dict(_trio_tasks())
    return {task: _name(task) for task in asyncio.all_tasks()}


@asynccontextmanager
async def no_leaked_tasks(
    seconds: float = 1.0, *, ignore: Callable[[str], bool] | None = None
) -> AsyncGenerator[None]:
    """Require that every task started in the block has ended `seconds` after it.

    Tasks that ran before, and the task that leaves the block, are not checked.

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
        while _new(before, ignore):  # noqa: ASYNC110 - the end of a foreign task is not announced
            await anyio.sleep(POLL)
    left = _new(before, ignore)
    if left:
        raise LeakedTasksError(tuple(sorted(left)), seconds)


def _new(before: Tasks, ignore: Callable[[str], bool] | None) -> list[str]:
    known = {*before, _current_task()}
    names = (name for task, name in running_tasks().items() if task not in known)
    return [name for name in names if ignore is None or not ignore(name)]


def _current_task() -> object:
    try:
        return asyncio.current_task()
    except RuntimeError:
        trio: Any = import_module("trio")
        return trio.lowlevel.current_task()


def _name(task: asyncio.Task[Any]) -> str:
    """The name of a task; with the function that it runs if the name is a default."""
    name = task.get_name()
    function = getattr(task.get_coro(), "__qualname__", None)
    # An eager task without a name is called "None" on Python 3.13.
    unnamed = name.startswith("Task-") or name == "None"
    return f"{name} ({function})" if unnamed and function else name


def _trio_tasks() -> Iterator[tuple[object, str]]:
    trio: Any = import_module("trio")  # only ever running where it is installed
    waiting = [trio.lowlevel.current_root_task()]
    while waiting:
        task = waiting.pop()
        for nursery in task.child_nurseries:
            waiting.extend(nursery.child_tasks)
        yield task, task.name
