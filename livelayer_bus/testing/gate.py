"""A place that a scripted call passes, where the test can hold it up or make it fail."""

from __future__ import annotations

from typing import final

from .waiting import Signal


@final
class Gate:
    """Open unless the test says otherwise; who arrives passes, waits, or is given an error."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._held = False
        self._error: BaseException | None = None
        self._failures: int | None = None
        self._arrived = 0
        self._waiting = 0
        self._changed = Signal()

    # The test's side -------------------------------------------------------------------------

    def hold(self) -> None:
        """Make everybody who arrives wait."""
        self._held = True

    def open(self) -> None:
        """Let everybody through again: those who wait, and those to come."""
        self._held = False
        self._error, self._failures = None, None
        self._changed.notify()

    def fail(self, error: BaseException, times: int | None = None) -> None:
        """Give `error` to those who wait and to the next who arrive: `times` in all, None: each."""
        self._held = False
        self._error, self._failures = error, times
        self._changed.notify()

    @property
    def arrived(self) -> int:
        """How many came so far, those who wait or failed included."""
        return self._arrived

    @property
    def waiting(self) -> int:
        """How many are held up now."""
        return self._waiting

    async def wait_arrived(self, number: int = 1) -> None:
        """Return once `number` have come in all."""
        await self._changed.wait_for(lambda: self._arrived >= number)

    async def wait_held(self, number: int = 1) -> None:
        """Return once `number` are held up at the same time."""
        await self._changed.wait_for(lambda: self._waiting >= number)

    # The scripted call's side ----------------------------------------------------------------

    async def enter(self) -> None:
        """Go through, when and as the test lets you."""
        self._arrived += 1
        self._waiting += 1
        self._changed.notify()
        try:
            await self._changed.wait_for(lambda: not self._held)
        finally:
            self._waiting -= 1
        self._changed.notify()
        error = self._error
        if error is None:
            return
        if self._failures is not None:
            self._failures -= 1
            if self._failures <= 0:
                self._error, self._failures = None, None
        raise error
