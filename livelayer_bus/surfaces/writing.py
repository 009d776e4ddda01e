"""Blocking writes, in order, without blocking the event loop."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar, final

import anyio
import anyio.to_thread

T = TypeVar("T")


@final
class BackgroundWriter(Generic[T]):
    """Passes items to `write`, one at a time and in order, in a thread.

    Guarantee: `put` returns when its item is written, so a caller that produces faster than `write`
    is slowed down, and nothing accumulates. A cancelled `put` loses nothing: the thread that has
    started, or the next call, writes its item.

    Args:
        write: a blocking function; its errors are raised by `put` and `aclose`.
    """

    def __init__(self, write: Callable[[T], None]) -> None:
        self._write = write
        self._items: deque[T] = deque()
        # One thread at a time: a cancelled task cannot stop the thread that it started.
        self._lock = threading.Lock()

    async def put(self, item: T) -> None:
        """Return when `item` and everything before it is written."""
        self._items.append(item)
        await anyio.to_thread.run_sync(self._drain, abandon_on_cancel=True)

    async def aclose(self, seconds: float, close: Callable[[], None] | None = None) -> bool:
        """Write what is left, then call `close` in the thread; False if `seconds` did not suffice.

        Cancelling does not shorten it. Work that takes longer continues in its thread.
        """
        with anyio.move_on_after(seconds, shield=True) as scope:
            await anyio.to_thread.run_sync(self._finish, close, abandon_on_cancel=True)
        return not scope.cancelled_caught

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
