"""livelayer-bus, read in batches."""

from __future__ import annotations

from collections.abc import Callable

from livelayer_bus.events import Event

from ._session import SessionBus
from ._tasks import ReaderTasks

NAME = "livelayer-bus, batches"
DELIVERS_TO = "task"
REQUIRES: tuple[str, ...] = ()
SHARE = 1.0


class FanOut:
    def __init__(self, readers: int, burst: int, done: Callable[[], None]) -> None:
        self._bus = SessionBus()
        self._readers, self._burst, self._done = readers, burst, done
        self._tasks = ReaderTasks()
        self.publish: Callable[[Event], object] = self._bus.publish

    async def open(self) -> None:
        await self._bus.open()
        await self._tasks.start(*(self._read() for _ in range(self._readers)))

    async def _read(self) -> None:
        left = self._burst
        with self._bus.subscribe() as events:
            async for batch in events.batches():
                left -= len(batch)
                if not left:
                    self._done()
                    left = self._burst

    async def close(self) -> None:
        await self._tasks.stop()
        await self._bus.close()
