"""Writes that never hold up the event loop, and never lose their order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar, final

import anyio
import anyio.to_thread

T = TypeVar("T")


@final
class BackgroundWriter(Generic[T]):
    """Hands items to `write`, one at a time and in order, in a thread.

    `put` waits for the thread, so at most one item of a caller is under way: a caller that produces
    faster than `write` takes is slowed down, and nothing piles up. A cancelled `put` loses
    nothing: its item is written by the thread that has begun, or by the next call.

    Args:
        write: a blocking function; its errors are raised by `put` and `aclose`.
    """

    def __init__(self, write: Callable[[T], None]) -> None:
        self._write = write
        self._items: deque[T] = deque()
        # One thread at a time: a cancelled task cannot take back a thread that has begun.
        self._lock = threading.Lock()

    async def put(self, item: T) -> None:
        """Return when everything up to `item` is written."""
        self._items.append(item)
        await self._run(self._drain)

    async def aclose(self, seconds: float, close: Callable[[], None] | None = None) -> bool:
        """Write what is left, then call `close` in the thread; whether it took under `seconds`.

        Cancelling does not shorten it. What takes longer goes on in its thread.
        """
        with anyio.move_on_after(seconds, shield=True) as scope:
            await self._run(partial(self._finish, close))
        return not scope.cancelled_caught

    async def _run(self, work: Callable[[], None]) -> None:
        await anyio.to_thread.run_sync(work, abandon_on_cancel=True)

    def _drain(self) -> None:
        with self._lock:
            while self._items:
                self._write(self._items.popleft())

    def _finish(self, close: Callable[[], None] | None) -> None:
        try:
            self._drain()
        finally:
            if close is not None:
                with self._lock:
                    close()
