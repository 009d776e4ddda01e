"""Leaving the room some time after the last surface left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, final

from ..clock import Clock
from ..tasks import RootTask, TaskOwner


@final
class Linger:
    """One timer: started when the last surface is gone, stopped when one comes."""

    def __init__(
        self,
        seconds: float | None,
        leave: Callable[[], Awaitable[None]],
        tasks: TaskOwner,
        clock: Clock,
    ) -> None:
        self._seconds: Final = seconds
        self._leave = leave
        self._tasks = tasks
        self._clock = clock
        self._timer: RootTask | None = None

    def start(self) -> None:
        """Nobody looks any more."""
        if self._seconds is not None:
            seconds = self._seconds
            self.stop()
            self._timer = self._tasks.start(lambda: self._part(seconds), "linger")

    def stop(self) -> None:
        """Somebody looks again."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    async def _part(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._timer = None
        await self._leave()
