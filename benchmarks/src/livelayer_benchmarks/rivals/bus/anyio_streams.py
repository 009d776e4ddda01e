"""anyio's memory object streams, one for each reader."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from ._readers import Publish, waiting

NAME = "anyio streams"
PART = "task"
KINDS = ("fan_out", "wake")
SHARE = 0.2


@asynccontextmanager
async def fan_out(readers: int, burst: int, done: Callable[[], None]) -> AsyncGenerator[Publish]:
    streams = [anyio.create_memory_object_stream[object](burst) for _ in range(readers)]

    def publish(event: object) -> None:
        for send, _ in streams:
            send.send_nowait(event)

    async def read(receive: MemoryObjectReceiveStream[object]) -> None:
        left = burst
        async for _ in receive:
            left -= 1
            if not left:
                done()
                left = burst

    async with waiting(*(read(receive) for _, receive in streams)):
        yield publish
    for send, receive in streams:
        send.close()
        receive.close()
