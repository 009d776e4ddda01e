"""Waiting for an event; the one deadline, and the one poll for what has no event."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from inspect import isawaitable
from typing import Final, TypeVar, cast, final

import anyio
import anyio.lowlevel

T = TypeVar("T")

PATIENCE: Final = 60.0  # seconds; a deadline for what must happen, never a delay
_LOOK: Final = 0.02  # seconds between two looks at what has no event


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


async def polled(look: Callable[[], T | Awaitable[T]]) -> T:
    """Return the first true value that `look` gives; for what has no event.

    That is the state of another process (a browser, a server) or of a foreign library.

    Raises:
        TimeoutError: there was none within `PATIENCE`.
    """
    with anyio.fail_after(PATIENCE):
        while True:
            found = look()
            value = cast(T, await found if isawaitable(found) else found)
            if value:
                return value
            await anyio.sleep(_LOOK)


async def every(seconds: float) -> AsyncGenerator[None]:
    """The pace of a source of real-time media, such as a camera; what is late is not made up for.

    Never a way to wait for something.
    """
    due = anyio.current_time()
    while True:
        yield
        now = anyio.current_time()
        due = max(due + seconds, now)
        await anyio.sleep(due - now)
