"""A bare future: the cheapest wake-up an event loop has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ._tasks import ReaderTasks

NAME = "bare future"
DELIVERS_TO = "task"
REQUIRES: tuple[str, ...] = ()
SHARE = 1.0


class Wake:
    def __init__(self, woken: Callable[[], None]) -> None:
        self._woken = woken
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[object] = self._loop.create_future()
        self._tasks = ReaderTasks()

    async def open(self) -> None:
        await self._tasks.start(self._read())

    def publish(self, event: object) -> None:
        self._future.set_result(event)

    async def _read(self) -> None:
        woken, loop = self._woken, self._loop
        while True:
            await self._future
            woken()
            self._future = loop.create_future()

    async def close(self) -> None:
        await self._tasks.stop()
