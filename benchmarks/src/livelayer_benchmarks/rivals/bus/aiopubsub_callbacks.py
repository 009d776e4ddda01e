"""aiopubsub with synchronous listeners: callbacks inside the publisher."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from aiopubsub import Hub, Key, Subscriber

from ._readers import Publish, callbacks

NAME = "aiopubsub, callbacks"
PART = "callback"
REQUIRES = ("aiopubsub",)

KEY = Key("bench", "event")


@asynccontextmanager
async def fan_out(readers: int, burst: int, done: Callable[[], None]) -> AsyncGenerator[Publish]:
    hub = Hub()
    for number, receive in enumerate(callbacks(readers, burst, done)):

        def listen(key: Key, event: Any, receive: Publish = receive) -> None:
            receive(event)

        Subscriber(hub, str(number)).add_sync_listener(KEY, listen)
    yield partial(hub.publish, KEY)
