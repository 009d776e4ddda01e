"""The way from other threads to an event loop: items wait until the loop takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar, final

T = TypeVar("T")

Post = Callable[[Callable[[], object]], bool]
"""Has an event loop make a call, from any thread; False if it has no loop to make it."""


@final
@dataclass(eq=False)
class Inbox(Generic[T]):
    """Items from any thread, taken by one event loop in the order in which they were put.

    Guarantee: at most `capacity` items wait; an item that is refused is counted, and so is one that
    was still waiting when the inbox was closed. However many items wait, one call is scheduled on
    the loop. An item whose `take` raises does not hold up those behind it.
    """

    _take: Callable[[T], object]  # called in the loop with each item
    _post: Post
    _capacity: int  # the most items that wait
    _lock: Lock = field(default_factory=Lock)
    _items: deque[T] = field(default_factory=deque[T])
    _scheduled: bool = False
    _closed: bool = False
    refused: int = 0

    @property
    def waiting(self) -> int:
        return len(self._items)

    def put(self, item: T, *, required: bool = False) -> bool:
        """Have the loop take `item` at its next turn; from any thread, returns at once.

        False if the inbox is closed, or full and the item not `required`: it was refused.
        """
        with self._lock:
            if self._closed or (len(self._items) >= self._capacity and not required):
                self.refused += 1
                return False
            self._items.append(item)
            self._schedule()
            return True

    def schedule(self) -> None:
        """Have the loop take what waits; for when items were put before there was a loop."""
        with self._lock:
            if self._items:
                self._schedule()

    def drain(self) -> None:
        """Take what waits now. Call it in the loop's thread only."""
        with self._lock:
            self._scheduled = False
            count = len(self._items)
        try:
            for _ in range(count):
                with self._lock:
                    if not self._items:  # closed meanwhile
                        return
                    item = self._items.popleft()
                self._take(item)
        finally:
            self.schedule()

    def close(self) -> None:
        """Take no more items; drop and count those that wait."""
        with self._lock:
            self._closed = True
            self.refused += len(self._items)
            self._items.clear()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = self._post(self.drain)
