"""pyee: callbacks inside the publisher."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

from pyee.base import EventEmitter

from ._readers import Publish, callbacks

NAME = "pyee"
PART = "callback"
REQUIRES = ("pyee",)


@asynccontextmanager
async def fan_out(readers: int, burst: int, done: Callable[[], None]) -> AsyncGenerator[Publish]:
    emitter = EventEmitter()
    for receive in callbacks(readers, burst, done):
        emitter.add_listener("event", receive)
    yield partial(emitter.emit, "event")
