"""The door for other threads: events wait here until the owner's loop publishes them."""

from __future__ import annotations

from collections import deque
from threading import Lock
from weakref import WeakMethod

from ..errors import BusyError, ClosedError, ForkedError
from .ring import Ring


class Door:
    """At most as many events as the ring holds, in the order they came through."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._lock = Lock()
        self._waiting: deque[object] = deque()
        self._scheduled = False
        self.refused = 0
        ring.owner.on_adopt = WeakMethod(self._schedule)

    @property
    def waiting(self) -> int:
        """Events handed over and not published yet."""
        return len(self._waiting)

    def hand_over(self, event: object) -> None:
        """Take an event from any thread.

        Raises:
            BusyError: the owner's loop is so far behind that the door is full.
            ClosedError: the bus is closed.
            ForkedError: the bus was made before this process was forked.
        """
        ring = self._ring
        if ring.forked:
            raise ForkedError("this bus")
        with self._lock:
            if ring.closed:
                raise ClosedError("this bus")
            if len(self._waiting) >= ring.capacity:
                self.refused += 1
                raise BusyError(
                    "the bus's door",
                    f"{ring.capacity} events wait for its event loop to run; try again later",
                )
            self._waiting.append(event)
            if not self._scheduled:
                self._scheduled = ring.owner.call_soon(self.drain)

    def drain(self) -> None:
        """Publish what waits; in the owner's thread."""
        with self._lock:
            self._scheduled = False
            events = list(self._waiting)
            self._waiting.clear()
        for event in events:
            if self._ring.closed:
                self.refused += 1
            else:
                self._ring.append(event)

    def _schedule(self) -> None:
        with self._lock:
            if self._waiting:
                self._scheduled = self._ring.owner.call_soon(self.drain)
