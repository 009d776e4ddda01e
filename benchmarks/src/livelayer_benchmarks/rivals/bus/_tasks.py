"""Reader tasks that a rival owns: started together, cancelled and awaited together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


class ReaderTasks:
    """The tasks of one rival's readers."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, *readers: Coroutine[object, object, None]) -> None:
        """Start the readers and return when each of them waits."""
        self._tasks += [asyncio.create_task(reader) for reader in readers]
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Cancel the readers and wait for their end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
