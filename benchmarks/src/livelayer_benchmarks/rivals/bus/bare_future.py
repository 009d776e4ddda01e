"""A bare future: the cheapest wake-up an event loop has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from ._readers import Publish, waiting

NAME = "bare future"
PART = "task"
KINDS = ("wake",)


@asynccontextmanager
async def fan_out(readers: int, burst: int, done: Callable[[], None]) -> AsyncGenerator[Publish]:
    """Wake the one reader there is."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[object] = loop.create_future()

    def publish(event: object) -> None:
        future.set_result(event)

    async def read() -> None:
        nonlocal future
        while True:
            await future
            done()
            future = loop.create_future()

    async with waiting(read()):
        yield publish
