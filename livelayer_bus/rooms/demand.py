"""Whether anybody wants a channel's frames: at once when somebody does, after a pause when not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from ..clock import Clock
from ..contract import FrameTarget
from ..tasks import RootTask, TaskOwner

PAUSE_AFTER: Final = 2.0  # seconds without a reader; surfaces that change places take less


@final
class Demand:
    """Follows one channel's readers, and those who look at its newest frame now and then."""

    def __init__(
        self,
        target: FrameTarget[Any],
        tasks: TaskOwner,
        clock: Clock,
        pause_after: float | None,
        on_change: Callable[[], None],
    ) -> None:
        """Call `on_change` when `wanted` changes, until `close()`.

        Args:
            target: the channel's writer.
            pause_after: seconds without demand after which nobody wants frames; None: never.
        """
        self.wanted = True
        self._target = target
        self._tasks = tasks
        self._clock = clock
        self._pause_after = pause_after
        self._on_change = on_change
        self._glanced = False
        self._timer: RootTask | None = None
        self._forget = (target.on_demand(self._follow), target.on_glance(self._glance))
        self._follow(target.demand)

    def close(self) -> None:
        """Follow nothing any more."""
        for forget in self._forget:
            forget()
        self._stop_timer()

    def _follow(self, demand: int) -> None:
        if demand:
            self._stop_timer()
            self._want()
        elif self.wanted and self._timer is None and self._pause_after is not None:
            seconds = self._pause_after
            self._timer = self._tasks.start(lambda: self._expire(seconds), "unwanted frames")

    def _glance(self) -> None:
        self._glanced = True
        self._want()
        self._follow(self._target.demand)

    def _want(self) -> None:
        if not self.wanted:
            self.wanted = True
            self._on_change()

    async def _expire(self, seconds: float) -> None:
        self._glanced = False
        await self._clock.sleep(seconds)
        while self._glanced:
            self._glanced = False
            await self._clock.sleep(seconds)
        self._timer = None
        self.wanted = False
        self._on_change()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
