"""Whether anybody wants a channel's frames: at once when somebody does, after a pause when not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from ..clock import Clock
from ..tasks import TaskOwner, Timer
from .port import FrameTarget

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
        self._pause_after = pause_after
        self._on_change = on_change
        self._peeked = False
        self._timer = Timer(self._expire, "unwanted frames", tasks, clock)
        self._demand = 0
        self._forget = target.follow_demand(self._follow, self._peek)

    def close(self) -> None:
        """Follow nothing any more."""
        self._forget()
        self._timer.stop()

    def _follow(self, demand: int) -> None:
        self._demand = demand
        if demand:
            self._timer.stop()
            self._want()
        elif self.wanted and not self._timer.running and self._pause_after is not None:
            self._peeked = False
            self._timer.start(self._pause_after)

    def _peek(self) -> None:
        self._peeked = True
        self._want()
        self._follow(self._demand)

    def _want(self) -> None:
        if not self.wanted:
            self.wanted = True
            self._on_change()

    def _expire(self) -> None:
        if self._peeked and self._pause_after is not None:
            self._peeked = False
            self._timer.start(self._pause_after)
        else:
            self.wanted = False
            self._on_change()
