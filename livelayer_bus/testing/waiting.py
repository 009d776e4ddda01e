"""Waiting for an event or by polling, holding calls at a gate, and a clock that the test moves."""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Iterator
from inspect import isawaitable
from itertools import count, repeat
from typing import Final, TypeVar, cast, final

import anyio
import anyio.lowlevel

from ..errors import MisuseError

T = TypeVar("T")

PATIENCE: Final = 60.0  # seconds; a deadline for what must happen, never a delay
_LOOK: Final = 0.02  # seconds between two looks at what has no event


@final
class Signal:
    """Wakes the waiters for a condition each time something may have changed."""

    def __init__(self) -> None:
        self._changed: anyio.Event | None = None  # created in the loop of the waiter

    def notify(self) -> None:
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

    For the state of another process or a foreign library, which has no event to wait for.

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


@final
class Gate:
    """A point in a scripted call: open until the test holds it, or makes calls fail there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._held = False
        self._errors: Iterator[BaseException] = iter(())
        self.arrived = 0
        """How many calls have arrived, waiting and failed ones included."""
        self.waiting = 0
        """How many calls wait now."""
        self._changed = Signal()

    def hold(self) -> None:
        """Make each arriving call wait."""
        self._held = True

    def open(self) -> None:
        """Let waiting and later calls pass again."""
        self._held = False
        self._errors = iter(())
        self._changed.notify()

    def fail(self, error: BaseException, times: int | None = None) -> None:
        """Raise `error` in waiting and arriving calls: in `times` of them, None: in each."""
        self._held = False
        self._errors = repeat(error) if times is None else repeat(error, times)
        self._changed.notify()

    async def wait_arrived(self, number: int = 1) -> None:
        """Return once `number` calls have arrived."""
        await self._changed.wait_for(lambda: self.arrived >= number)

    async def wait_held(self, number: int = 1) -> None:
        """Return once `number` calls wait at the same time."""
        await self._changed.wait_for(lambda: self.waiting >= number)

    async def enter(self) -> None:
        """Pass, wait or raise, as the test decides."""
        self.arrived += 1
        self.waiting += 1
        self._changed.notify()
        try:
            await self._changed.wait_for(lambda: not self._held)
        finally:
            self.waiting -= 1
        self._changed.notify()
        for error in self._errors:
            raise error


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

        A sleeper that sleeps again counts from the new time: `elapse` steps through such a chain.

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
