"""When an encoder owes its viewers a key frame: requests of all of them, at a bounded rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import final

from livelayer_bus.clock import Clock

KEY_FRAME_INTERVAL = 0.5  # seconds between two on request, at least


@final
class KeyFrameRequests:
    """Any number of requests make one key frame, at most one in `KEY_FRAME_INTERVAL` seconds.

    A request within the interval is kept and due at its end. A key frame made for any reason
    settles what was asked before it.
    """

    def __init__(self, clock: Clock, on_due: Callable[[], None]) -> None:
        """Requests of one encoder.

        Args:
            clock: what the interval is measured on.
            on_due: called in the event loop when a request becomes due.
        """
        self._clock = clock
        self._on_due = on_due
        self._wanted = False
        self._not_before = clock.now()
        self._asked = asyncio.Event()

    def request(self) -> None:
        """Ask for one; a second call before it was made does nothing."""
        if self._wanted:
            return
        self._wanted = True
        if self.due:
            self._on_due()
        else:
            self._asked.set()

    def require(self) -> None:
        """Ask for one at once, whenever the last one was: nothing else would be of use."""
        self._not_before = self._clock.now()
        self._wanted = True
        self._on_due()

    @property
    def due(self) -> bool:
        """Whether the next picture has to be a key frame."""
        return self._wanted and self._clock.now() >= self._not_before

    def made(self) -> None:
        """A key frame was encoded."""
        self._wanted = False
        self._not_before = self._clock.now() + KEY_FRAME_INTERVAL

    async def run(self) -> None:
        """Tell when a request that had to wait becomes due, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._clock.sleep(self._not_before - self._clock.now())
            if self.due:
                self._on_due()
