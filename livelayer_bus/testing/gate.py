"""A point in a scripted call where the test can hold the call or make it fail."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import final

from .waiting import Signal


@final
class Gate:
    """Open until the test holds it or makes it fail; then each call waits or raises there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._held = False
        self._errors: Iterator[BaseException] = iter(())
        self.arrived = 0
        """How many calls have arrived, waiting and failed ones included."""
        self.waiting = 0
        """How many calls wait now."""
        self._changed = Signal()

    # The test's side -------------------------------------------------------------------------

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

    # The scripted call's side ----------------------------------------------------------------

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
        error = next(self._errors, None)
        if error is not None:
            raise error
