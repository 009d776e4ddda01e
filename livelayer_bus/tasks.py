"""Tasks that outlive the call that starts them, each with an owner that ends it in bounded time.

A task group waits for ever for a child that swallows its cancellation; a session must close in
bounded time. So these are root tasks: on asyncio a task of the loop, on trio a system task. Their
owner cancels them, waits as long as it was told to, and learns the names of those that stayed.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import traceback
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Final, TypeAlias, final
from weakref import WeakSet

import anyio
import anyio.lowlevel

from .clock import Clock

Work: TypeAlias = Callable[[], Awaitable[None]]
OnEnd: TypeAlias = Callable[["RootTask"], None]

_cancelled: Final[WeakSet[asyncio.Task[None]]] = WeakSet()
"""Root tasks that their owner has cancelled. `Task.cancelling()` may have forgotten it: anyio's
task groups, nested over several tasks, take back more cancellations than they asked for."""


class RootTask(ABC):
    """One running piece of work. Ends by itself, or after `cancel()`; never raises on its own."""

    can_be_abandoned: ClassVar[bool]
    """Whether the loop lets a task go on that ignores its cancellation (trio waits for it)."""

    def __init__(self, name: str, on_end: OnEnd | None) -> None:
        self.name: Final = name
        self.error: Exception | None = None
        self._on_end = on_end
        self._ended = anyio.Event()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    @abstractmethod
    def cancel(self) -> None:
        """Ask the work to end; returns at once."""

    @abstractmethod
    def is_current(self) -> bool:
        """Whether the caller runs inside this very task."""

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end, at most `seconds`; True when the task has ended."""
        with anyio.move_on_after(seconds):
            await self._ended.wait()
        return self.ended

    async def _run(self, work: Work) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the owner reads it; a root task has no parent
            self.error = error
        except BaseExceptionGroup as group:
            # trio: a fault beside the cancellation that uncovered it.
            fault, rest = group.split(Exception)
            self.error = fault
            if rest is not None:
                raise rest from None
        finally:
            self._finish()

    def _finish(self) -> None:
        if not self._ended.is_set():
            self._ended.set()
            if self._on_end is not None:
                self._on_end(self)


class _AsyncioTask(RootTask):
    can_be_abandoned = True

    def __init__(self, work: Work, name: str, on_end: OnEnd | None) -> None:
        super().__init__(name, on_end)
        # Made without the loop's task factory: an eager one would run `work` inside this call.
        loop = asyncio.get_running_loop()
        task = asyncio.Task(self._run(work), loop=loop, name=f"livelayer:{name}")
        # A task cancelled before its first step never enters `_run`.
        task.add_done_callback(self._done)
        self._task: asyncio.Task[None] | None = task

    def _done(self, _: asyncio.Task[None]) -> None:
        self._task = None  # it keeps the cancellation's traceback, and with it what the work held
        self._finish()

    def cancel(self) -> None:
        if self._task is not None:
            _cancelled.add(self._task)
            self._task.cancel()

    def is_current(self) -> bool:
        return self._task is not None and asyncio.current_task() is self._task


class _TrioTask(RootTask):
    can_be_abandoned = False

    def __init__(self, work: Work, name: str, on_end: OnEnd | None, trio: Any) -> None:
        super().__init__(name, on_end)
        self._trio = trio
        self._scope = trio.CancelScope()
        spawn, context = trio.lowlevel.spawn_system_task, contextvars.copy_context()
        self._task = spawn(self._scoped, work, name=f"livelayer:{name}", context=context)

    async def _scoped(self, work: Work) -> None:
        try:
            with self._scope:
                await self._run(work)
        finally:
            self._finish()

    def cancel(self) -> None:
        self._scope.cancel()

    def is_current(self) -> bool:
        return bool(self._trio.lowlevel.current_task() is self._task)


def start(work: Work, name: str, on_end: OnEnd | None = None) -> RootTask:
    """Start `work` as a root task of the running loop; its first step comes after this call.

    `on_end` is called once, in the loop, when the task has ended in whatever way.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _TrioTask(work, name, on_end, import_module("trio"))
    return _AsyncioTask(work, name, on_end)


async def wait_through(task: RootTask, seconds: float) -> None:
    """Wait at most `seconds` for the end of `task`, then raise the caller's cancellation."""
    cancelled = None
    with anyio.move_on_after(seconds, shield=True) as waiting:
        while not task.ended:
            try:
                await task.wait()
            except asyncio.CancelledError as error:
                # asyncio's own cancellation passes through a shield.
                if waiting.cancel_called:
                    raise
                cancelled = error
    if cancelled is not None:
        raise cancelled


async def fault_of(call: Callable[[], Awaitable[object] | None]) -> BaseException | None:
    """Run foreign code, sync or async; return what it raised instead of raising it.

    The task's own cancellation, `KeyboardInterrupt` and `SystemExit` pass through. A cancellation
    that was not asked of this task, but of something that the code awaited, is that code's fault.
    """
    cancelled = anyio.get_cancelled_exc_class()
    try:
        result = call()
        if result is not None:
            await result
    except asyncio.CancelledError as error:
        if _is_being_cancelled():
            raise
        fault = RuntimeError("something that it awaited was cancelled")
        fault.__cause__ = error
        return fault
    except (cancelled, KeyboardInterrupt, SystemExit):
        raise
    except BaseExceptionGroup as group:
        if group.subgroup((cancelled, KeyboardInterrupt, SystemExit)) is not None:
            raise
        return group
    except GeneratorExit as error:
        if not _in_a_loop():
            raise  # this coroutine is being closed: nothing may be awaited any more
        return error
    except BaseException as error:  # noqa: BLE001 - foreign code may raise anything
        return error
    return None


def _is_being_cancelled() -> bool:
    # Not inside `fault_of`: its frame, kept by the task's own exception, must not keep the task.
    task = asyncio.current_task()
    return task is None or bool(task.cancelling()) or task in _cancelled


def _in_a_loop() -> bool:
    with suppress(RuntimeError):
        return bool(anyio.lowlevel.current_token())
    return False


def log_fault(logger: logging.Logger, what: str, error: BaseException) -> None:
    """Log at ERROR that `what` raised, with the stack but without the exception's text.

    The text may quote a payload or a transcript; the event that reports the fault has it.
    """
    stack = "".join(traceback.format_tb(error.__traceback__))
    kind = type(error).__qualname__
    logger.error("%s failed. Traceback (most recent call last):\n%s%s", what, stack, kind)


@final
class TaskOwner:
    """Holds root tasks until they end, and ends those that are left."""

    def __init__(self) -> None:
        self._tasks: set[RootTask] = set()

    def start(self, work: Work, name: str) -> RootTask:
        task = start(work, name, self._tasks.discard)
        self._tasks.add(task)
        return task

    async def aclose(self, seconds: float) -> tuple[str, ...]:
        """Cancel every task and wait `seconds` in all; the names of those that still run."""
        tasks = [task for task in self._tasks if not task.is_current()]
        for task in tasks:
            task.cancel()
        with anyio.move_on_after(seconds):
            for task in tasks:
                await task.wait()
        self._tasks.difference_update(tasks)
        return tuple(task.name for task in tasks if not task.ended)


@dataclass(eq=False)
class Timer:
    """Sleeps on `clock`, then acts in a task of its own, unless it is stopped or started again.

    `act` is awaited if it returns an awaitable; `name` is the task's, and `tasks` owns it.
    """

    act: Callable[[], Awaitable[None] | None]
    name: str
    tasks: TaskOwner
    clock: Clock
    _task: RootTask | None = None

    @property
    def running(self) -> bool:
        """Whether it will act: it was started, and has neither acted nor been stopped."""
        return self._task is not None

    def start(self, seconds: float) -> None:
        """Act in `seconds`; an earlier start is void."""
        self.stop()
        self._task = self.tasks.start(lambda: self._run(seconds), self.name)

    def stop(self) -> None:
        """Do not act. What is being done already is not interrupted."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _run(self, seconds: float) -> None:
        await self.clock.sleep(seconds)
        self._task = None
        result = self.act()
        if result is not None:
            await result
