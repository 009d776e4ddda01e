"""The LiveKit SDK's own EventEmitter: callbacks inside the publisher."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

from livekit.rtc import EventEmitter

from ._readers import Publish, callbacks

NAME = "livekit EventEmitter"
PART = "callback"
SHARE = 0.2


@asynccontextmanager
async def fan_out(readers: int, burst: int, done: Callable[[], None]) -> AsyncGenerator[Publish]:
    emitter: EventEmitter[str] = EventEmitter()
    for receive in callbacks(readers, burst, done):
        emitter.on("event", receive)
    yield partial(emitter.emit, "event")
