"""livelayer-bus, read event by event."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from ._readers import Publish, waiting
from ._session import session_bus

NAME = "livelayer-bus, by item"
PART = "task"
KINDS = ("fan_out", "wake")


@asynccontextmanager
async def fan_out(readers: int, burst: int, done: Callable[[], None]) -> AsyncGenerator[Publish]:
    async with session_bus() as (publish, subscribe):

        async def read() -> None:
            left = burst
            with subscribe() as events:
                async for _ in events:
                    left -= 1
                    if not left:
                        done()
                        left = burst

        async with waiting(*(read() for _ in range(readers))):
            yield publish
