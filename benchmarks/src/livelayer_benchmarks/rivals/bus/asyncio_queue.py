"""asyncio.Queue, one for each reader: what people write first, and the measure of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ._tasks import ReaderTasks

NAME = "asyncio.Queue"
DELIVERS_TO = "task"
REQUIRES: tuple[str, ...] = ()
SHARE = 1.0


class FanOut:
    def __init__(self, readers: int, burst: int, done: Callable[[], None]) -> None:
        self._queues: list[asyncio.Queue[object]] = [asyncio.Queue() for _ in range(readers)]
        self._burst, self._done = burst, done
        self._tasks = ReaderTasks()

    async def open(self) -> None:
        await self._tasks.start(*(self._read(queue) for queue in self._queues))

    def publish(self, event: object) -> None:
        for queue in self._queues:
            queue.put_nowait(event)

    async def _read(self, queue: asyncio.Queue[object]) -> None:
        left = self._burst
        while True:
            await queue.get()
            left -= 1
            if not left:
                self._done()
                left = self._burst

    async def close(self) -> None:
        await self._tasks.stop()


class Wake:
    def __init__(self, woken: Callable[[], None]) -> None:
        self._queue: asyncio.Queue[object] = asyncio.Queue()
        self._woken = woken
        self._tasks = ReaderTasks()
        self.publish = self._queue.put_nowait

    async def open(self) -> None:
        await self._tasks.start(self._read())

    async def _read(self) -> None:
        woken, queue = self._woken, self._queue
        while True:
            await queue.get()
            woken()

    async def close(self) -> None:
        await self._tasks.stop()
