"""How a conformance check runs, on a loop of its own thread, and what broken rules raise."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import anyio.to_thread
import msgspec

from ..errors import MisuseError
from .waiting import settle

LOOP_SECONDS: Final = 10.0  # without one step of the loop; a busy machine stays well below it
POLL: Final = 0.01  # seconds between two looks at the running tasks
LOOKS: Final = 20  # steps of a healthy loop in that time


class CheckFailedError(MisuseError, AssertionError):
    """A surface or a session broke a rule of its contract; what it raised is the cause."""

    def __init__(self, rule: str, found: str, hint: str) -> None:
        super().__init__(f"rule broken: {rule}. Found: {found}. {hint}")
        self.rule = rule
        self.found = found
        self.hint = hint


class Rule(msgspec.Struct, frozen=True):
    """One rule of a contract, and how to keep it."""

    text: str
    hint: str

    def check(self, holds: bool, found: str, cause: BaseException | None = None) -> None:
        if not holds:
            raise CheckFailedError(self.text, found, self.hint) from cause


@asynccontextmanager
async def in_time(seconds: float, rule: Rule, found: str) -> AsyncGenerator[None]:
    """Raise CheckFailedError unless the block ends within `seconds`, when it is cancelled."""
    with anyio.move_on_after(seconds) as scope:
        yield
    rule.check(not scope.cancelled_caught, f"{found} within {seconds:g} s")


class CheckThread:
    """One check, run once, on a loop of the caller's kind.

    `run` ends in bounded time, also if a task of the check never ends or never returns to the loop:
    its thread is left behind, and does not keep the process alive.
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._steps = 0
        self._cancelled = False

    async def run(
        self, check: Callable[[], Awaitable[None]], subject: Callable[[], str], closing: float
    ) -> None:
        """Run `check` in the thread to its end and raise what it raises.

        CheckFailedError names `subject()` if the loop makes no step for `LOOP_SECONDS`; it may take
        `closing` seconds to close.
        """
        try:
            options: dict[str, Any] = {"loop_factory": type(asyncio.get_running_loop())}
            backend = "asyncio"
        except RuntimeError:
            backend, options = "trio", {}

        def work() -> None:
            try:
                anyio.run(self._guarded, check, backend=backend, backend_options=options)
            except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
                self.fail(error)
            finally:
                self._over.set()

        # Not a worker of anyio: those may be joined when the caller's loop ends.
        thread = threading.Thread(target=work, name="livelayer check", daemon=True)
        thread.start()
        try:
            await anyio.to_thread.run_sync(
                self._wait, thread, subject, closing, abandon_on_cancel=True
            )
            if self._error is not None:
                raise self._error
        finally:
            self._cancelled = True
            self._error = None  # its traceback refers to this object

    def fail(self, error: BaseException) -> None:
        """Settle the result now: closing may hang. The first error counts."""
        self._error = self._error or error
        self._over.set()

    async def _guarded(self, check: Callable[[], Awaitable[None]]) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._step, group.cancel_scope)
            try:
                await check()
            except Exception as error:  # noqa: BLE001 - outside of the group it would be wrapped
                self.fail(error)
            group.cancel_scope.cancel()

    async def _step(self, scope: anyio.CancelScope) -> None:
        while not self._cancelled:
            self._steps += 1
            await anyio.sleep(LOOP_SECONDS / LOOKS)
        scope.cancel()

    def _wait(self, thread: threading.Thread, subject: Callable[[], str], closing: float) -> None:
        seen = -1
        while not self._over.wait(LOOP_SECONDS):
            if self._steps == seen:
                self.fail(_blocked(thread, subject()))
                return
            seen = self._steps
        thread.join(closing)


def _blocked(thread: threading.Thread, subject: str) -> CheckFailedError:
    error = CheckFailedError(
        "a surface never blocks the event loop",
        f"{subject} kept it from running for {LOOP_SECONDS:g} s",
        "await what takes time; give blocking calls to `anyio.to_thread.run_sync`",
    )
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - the documented way
    if frame is not None:
        error.add_note("the loop's thread is here:\n" + "".join(traceback.format_stack(frame)))
    return error


class LeakedTasksError(MisuseError, AssertionError):
    """Tasks that were started inside a guarded block still run after its end."""

    def __init__(self, names: tuple[str, ...], seconds: float) -> None:
        super().__init__(
            f"{len(names)} tasks still run {seconds:g} s after the block that started them: "
            f"{', '.join(names)}; cancel and await what you start"
        )
        self.names = names
        self.seconds = seconds


def running_tasks() -> dict[object, str]:
    return {task.coro: _name(task) for task in anyio.get_running_tasks()}


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


def _new(before: Iterable[object], ignore: Callable[[str], bool] | None) -> list[str]:
    known = {*before, anyio.get_current_task().coro}
    names = (name for task, name in running_tasks().items() if task not in known)
    return [name for name in names if ignore is None or not ignore(name)]


def _name(task: anyio.TaskInfo) -> str:
    """The name of a task; with the function that it runs if the name is a default."""
    name = str(task.name)
    function = getattr(task.coro, "__qualname__", None)
    # An eager task without a name is called "None" on Python 3.13.
    unnamed = name.startswith("Task-") or name == "None"
    return f"{name} ({function})" if unnamed and function else name
