"""blinker: signals, delivered to callbacks inside the publisher."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from blinker import Signal

from ._readers import Publish, callbacks

NAME = "blinker"
PART = "callback"
REQUIRES = ("blinker",)
SHARE = 0.5


@asynccontextmanager
async def fan_out(readers: int, burst: int, done: Callable[[], None]) -> AsyncGenerator[Publish]:
    signal, receivers = Signal(), callbacks(readers, burst, done)  # it keeps weak references
    for receive in receivers:
        signal.connect(receive)
    yield signal.send
