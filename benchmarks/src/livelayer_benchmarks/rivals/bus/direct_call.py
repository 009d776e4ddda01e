"""A loop over plain callbacks: no order of its own, no protection, the least one can do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from ._readers import Publish, callbacks

NAME = "direct calls"
PART = "callback"


@asynccontextmanager
async def fan_out(readers: int, burst: int, done: Callable[[], None]) -> AsyncGenerator[Publish]:
    receivers = callbacks(readers, burst, done)

    def publish(event: object) -> None:
        for receive in receivers:
            receive(event)

    yield publish
