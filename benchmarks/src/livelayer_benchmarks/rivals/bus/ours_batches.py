"""livelayer-bus, read in batches."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from ._readers import Publish, waiting
from ._session import session_bus

NAME = "livelayer-bus, batches"
PART = "task"


@asynccontextmanager
async def fan_out(readers: int, burst: int, done: Callable[[], None]) -> AsyncGenerator[Publish]:
    async with session_bus() as (publish, subscribe):

        async def read() -> None:
            left = burst
            with subscribe() as events:
                async for batch in events.batches():
                    left -= len(batch)
                    if not left:
                        done()
                        left = burst

        async with waiting(*(read() for _ in range(readers))):
            yield publish
