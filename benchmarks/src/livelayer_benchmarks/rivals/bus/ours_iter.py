"""livelayer-bus, read event by event."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

from livelayer_bus.bus import Bus

from ._tasks import ReaderTasks

NAME = "livelayer-bus, by item"
DELIVERS_TO = "task"
REQUIRES: tuple[str, ...] = ()
SHARE = 1.0


class FanOut:
    def __init__(self, readers: int, burst: int, done: Callable[[], None]) -> None:
        self._bus: Bus[object, None] = Bus()
        self._readers, self._burst, self._done = readers, burst, done
        self._tasks = ReaderTasks()
        self.publish = self._bus.publish

    async def open(self) -> None:
        await self._tasks.start(*(self._read() for _ in range(self._readers)))

    async def _read(self) -> None:
        left = self._burst
        with self._bus.subscribe() as events:
            async for _ in events:
                left -= 1
                if not left:
                    self._done()
                    left = self._burst

    async def close(self) -> None:
        await self._tasks.stop()


class Wake:
    def __init__(self, latencies: list[int]) -> None:
        self._bus: Bus[int, None] = Bus()
        self._latencies = latencies
        self._tasks = ReaderTasks()
        self.publish = self._bus.publish

    async def open(self) -> None:
        await self._tasks.start(self._read())

    async def _read(self) -> None:
        latencies = self._latencies
        with self._bus.subscribe() as events:
            async for sent in events:
                latencies.append(perf_counter_ns() - sent)

    async def close(self) -> None:
        await self._tasks.stop()
