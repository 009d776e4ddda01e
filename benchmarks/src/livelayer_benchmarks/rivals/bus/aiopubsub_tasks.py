"""aiopubsub with subscribers that consume: a queue and a task for each reader."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

from aiopubsub import Hub, Key, Subscriber

from ._readers import Publish, waiting

NAME = "aiopubsub, consume()"
PART = "task"
REQUIRES = ("aiopubsub",)
SHARE = 0.5

KEY = Key("bench", "event")


@asynccontextmanager
async def fan_out(readers: int, burst: int, done: Callable[[], None]) -> AsyncGenerator[Publish]:
    hub = Hub()

    async def read(name: str) -> None:
        subscriber = Subscriber(hub, name)
        subscriber.async_subscribe(KEY)
        left = burst
        while True:
            await subscriber.consume()
            left -= 1
            if not left:
                done()
                left = burst

    async with waiting(*(read(str(number)) for number in range(readers))):
        yield partial(hub.publish, KEY)
