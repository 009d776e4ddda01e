"""A bare future: the cheapest wake-up an event loop has."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns

from ._tasks import ReaderTasks

NAME = "bare future"
DELIVERS_TO = "task"
REQUIRES: tuple[str, ...] = ()
SHARE = 1.0


class Wake:
    def __init__(self, latencies: list[int]) -> None:
        self._latencies = latencies
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[int] = self._loop.create_future()
        self._tasks = ReaderTasks()

    async def open(self) -> None:
        await self._tasks.start(self._read())

    def publish(self, sent: int) -> None:
        self._future.set_result(sent)

    async def _read(self) -> None:
        latencies, loop = self._latencies, self._loop
        while True:
            sent = await self._future
            latencies.append(perf_counter_ns() - sent)
            self._future = loop.create_future()

    async def close(self) -> None:
        await self._tasks.stop()
