"""A clock that the test moves."""

from __future__ import annotations

import heapq
from itertools import count
from typing import final

import anyio
import anyio.lowlevel

from ..errors import MisuseError
from .waiting import Signal, settle


@final
class ManualClock:
    """A `Clock` that only the test moves; sleepers wake in the order of their times.

    Belongs to one event loop. A cancelled sleeper is forgotten.
    """

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        self._order = count()
        self._sleepers: list[tuple[float, int, anyio.Event]] = []
        self._parked = Signal()

    def now(self) -> float:
        """Seconds since an arbitrary start."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return once the test has moved the clock by `seconds`; at once if not positive.

        A sleep that is due takes one step of the loop, as a real one does.
        """
        if seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        sleeper = (self._now + seconds, next(self._order), anyio.Event())
        heapq.heappush(self._sleepers, sleeper)
        self._parked.notify()
        try:
            await sleeper[2].wait()
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)
            self._parked.notify()

    @property
    def sleepers(self) -> int:
        """How many tasks sleep on this clock."""
        return len(self._sleepers)

    @property
    def next_in(self) -> float | None:
        """Seconds until the first sleeper is due; None while there are no sleepers."""
        return self._sleepers[0][0] - self._now if self._sleepers else None

    async def wait_for_sleepers(self, number: int = 1) -> None:
        """Return once at least `number` tasks sleep, so that `advance` does not come too early."""
        await self._parked.wait_for(lambda: self.sleepers >= number)

    def advance(self, seconds: float) -> None:
        """Move the clock and wake due sleepers; they run at the caller's next wait.

        A sleeper that sleeps again counts from the new time: use `elapse` to step through such a
        chain.

        Raises:
            MisuseError: `seconds` is negative.
        """
        self.suspend(seconds)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            heapq.heappop(self._sleepers)[2].set()

    def suspend(self, seconds: float) -> None:
        """Move the clock as a suspended machine does: what is due wakes at the next `advance`.

        Raises:
            MisuseError: `seconds` is negative.
        """
        if seconds < 0:
            raise MisuseError(f"seconds must not be negative, got {seconds}")
        self._now += seconds

    async def elapse(self, seconds: float) -> None:
        """Move the clock from one due sleeper to the next, letting each run and sleep again.

        Several at the same time overlap: the clock ends where the longest of them does.

        Raises:
            MisuseError: `seconds` is negative.
        """
        self.advance(min(0.0, seconds))
        end = self._now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.advance(max(0.0, self._sleepers[0][0] - self._now))
            await settle()
        self.advance(max(0.0, end - self._now))  # another `elapse` may be ahead
        await settle()
