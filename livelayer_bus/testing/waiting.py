"""Waiting for a condition without polling: every change is signalled."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import anyio
import anyio.lowlevel


@final
class Signal:
    """Wakes everybody who waits for a condition each time something may have changed."""

    def __init__(self) -> None:
        self._changed: anyio.Event | None = None  # made in the waiter's loop, not in ours

    def notify(self) -> None:
        """Have every waiter look again."""
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return once `condition()` is true, at once if it is; cancelling leaves nothing behind."""
        while not condition():
            if self._changed is None:
                self._changed = anyio.Event()
            await self._changed.wait()


async def settle(rounds: int = 50) -> None:
    """Let every task that can run take `rounds` steps; takes no time on any clock.

    For what has no event to wait for: that something did *not* happen.
    """
    for _ in range(rounds):
        await anyio.lowlevel.checkpoint()
