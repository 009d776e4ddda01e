"""A thread for work that may be late, beside an event loop that may not."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Final, final

import anyio
import anyio.from_thread
import anyio.lowlevel

NICE: Final = 3
"""It gets about half the processor time of other threads where there is not enough for all. With
less, other programs would cost the recording its pictures."""


@final
class EncoderThread:
    """Runs calls one at a time and in order, in a thread of low priority.

    Linux has a priority for each thread; elsewhere it is an ordinary one. It does not keep the
    process from ending, however long a call takes.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        threading.Thread(target=self._run, name="livelayer encoder", daemon=True).start()

    async def run(self, work: Callable[[], None]) -> None:
        """Return when `work` has run; what it raises comes out here.

        Cancelled, it leaves `work` to the thread.
        """
        call = _Call(work)
        self._calls.put(call)
        await call.done.wait()
        if call.error is not None:
            raise call.error

    def close(self) -> None:
        """End the thread after the calls that wait; it takes no other ones. Never waits."""
        self._calls.put(None)

    def _run(self) -> None:
        if sys.platform == "linux":
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while (call := self._calls.get()) is not None:
            call()
            del call  # what it holds belongs to a session that may be over


@final
class _Call:
    """Work for the thread, and the task that waits for it."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.done: Final = anyio.Event()
        self.error: BaseException | None = None
        self._work = work
        self._loop = anyio.lowlevel.current_token()

    def __call__(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised where it was asked for
            self.error = error
        with suppress(anyio.RunFinishedError):
            anyio.from_thread.run_sync(self.done.set, token=self._loop)
