"""Waiting: for an event, under the one deadline, or by polling where there is no event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Final, TypeVar, cast, final

import anyio
import anyio.lowlevel

T = TypeVar("T")

PATIENCE: Final = 60.0  # seconds; a deadline for what must happen, never a delay
_LOOK: Final = 0.02  # seconds between two looks at what has no event


@final
class Signal:
    """Wakes the waiters for a condition each time something may have changed."""

    def __init__(self) -> None:
        self._changed: anyio.Event | None = None  # created in the loop of the waiter

    def notify(self) -> None:
        """Make every waiter check its condition again."""
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return once `condition()` is true; cancelling leaves nothing behind."""
        while not condition():
            if self._changed is None:
                self._changed = anyio.Event()
            await self._changed.wait()


async def settle(rounds: int = 50) -> None:
    """Let every task that can run take `rounds` steps; takes no time on any clock.

    For a test that something does *not* happen, which has no event to wait for.
    """
    for _ in range(rounds):
        await anyio.lowlevel.checkpoint()


async def polled(look: Callable[[], T | Awaitable[T]]) -> T:
    """Return the first true value that `look` gives.

    For the state of another process (a browser, a server) or of a foreign library, which have no
    event to wait for.

    Raises:
        TimeoutError: `look` gave no true value within `PATIENCE`.
    """
    with anyio.fail_after(PATIENCE):
        while True:
            found = look()
            value = cast(T, await found if isawaitable(found) else found)
            if value:
                return value
            await anyio.sleep(_LOOK)
