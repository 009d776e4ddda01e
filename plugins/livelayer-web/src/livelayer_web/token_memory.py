"""Remembers token ids for as long as their tokens could be used, in bounded memory."""

from __future__ import annotations

import heapq
import math
from typing import Final, final

CAPACITY: Final = 65_536
"""Ids in memory at once."""


@final
class TokenMemory:
    """Ids, each until its token's end.

    Guarantee: an id that was added is either in here, or `forgot(its end)` is True: whoever asks
    both never takes a forgotten id for a new one, even if the clock is set back.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._ids: set[str] = set()
        self._ends: list[tuple[float, str]] = []
        self._forgotten = -math.inf

    def add(self, token_id: str, end: float, now: float) -> None:
        """Remember the id until `end`; ids whose end has come, or beyond the capacity, are left.

        An id that is in here already keeps its end.
        """
        while self._ends and self._ends[0][0] <= now:
            self._forget_first()
        if token_id in self._ids:
            return
        self._ids.add(token_id)
        heapq.heappush(self._ends, (end, token_id))
        if len(self._ids) > self._capacity:
            self._forget_first()

    def forgot(self, end: float) -> bool:
        """Whether an id with this end may have been forgotten."""
        return end <= self._forgotten

    def __contains__(self, token_id: str) -> bool:
        return token_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def _forget_first(self) -> None:
        end, token_id = heapq.heappop(self._ends)
        self._ids.remove(token_id)
        self._forgotten = max(self._forgotten, end)
