"""asyncio.Queue, one for each reader: what people write first, and the measure of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from ._readers import Publish, waiting

NAME = "asyncio.Queue"
PART = "task"
KINDS = ("fan_out", "wake")


@asynccontextmanager
async def fan_out(readers: int, burst: int, done: Callable[[], None]) -> AsyncGenerator[Publish]:
    queues: list[asyncio.Queue[object]] = [asyncio.Queue() for _ in range(readers)]

    def publish(event: object) -> None:
        for queue in queues:
            queue.put_nowait(event)

    async def read(queue: asyncio.Queue[object]) -> None:
        left = burst
        while True:
            await queue.get()
            left -= 1
            if not left:
                done()
                left = burst

    async with waiting(*map(read, queues)):
        yield publish
