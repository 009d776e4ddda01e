"""Runs a check on an event loop of its own thread, so that it cannot hang its caller."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Final, final

import anyio
import anyio.to_thread

from .rules import CheckFailedError

LOOP_SECONDS: Final = 10.0  # without one step of the loop; a busy machine stays well below it
LOOKS: Final = 20  # steps of a healthy loop in that time


@final
class CheckThread:
    """One check, run once, on a loop of the caller's kind.

    Guarantee: `run` ends in bounded time, also if a task of the check never ends or never returns
    to the loop. The thread of such a check is left behind; it does not keep the process alive.
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._steps = 0
        self._cancelled = False

    async def run(
        self, check: Callable[[], Awaitable[None]], subject: Callable[[], str], closing: float
    ) -> None:
        """Run `check` to its end and raise what it raises.

        Args:
            check: runs in the thread.
            subject: the name of what is checked, for the error about a blocked loop.
            closing: how many seconds the loop may take to close.

        Raises:
            CheckFailedError: the check's, or its loop made no step for `LOOP_SECONDS`.
        """
        backend, options = _current_backend()

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


def _current_backend() -> tuple[str, dict[str, Any]]:
    try:
        return "asyncio", {"loop_factory": type(asyncio.get_running_loop())}
    except RuntimeError:
        return "trio", {}
