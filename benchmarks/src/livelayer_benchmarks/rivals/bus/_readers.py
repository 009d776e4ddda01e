"""What the rivals have in common: reader tasks, and callbacks that count as the tasks do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from ...harness import running

Publish: TypeAlias = Callable[[Any], object]
"""Publishes an event."""


@asynccontextmanager
async def waiting(*readers: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Reader tasks for the length of the block, each of which waits when it begins."""
    async with running(*readers):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        yield


def callbacks(readers: int, burst: int, done: Callable[[], None]) -> list[Callable[[object], None]]:
    """As many callbacks."""
    return [_callback(burst, done) for _ in range(readers)]


def _callback(burst: int, done: Callable[[], None]) -> Callable[[object], None]:
    left = burst

    def receive(event: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            done()
            left = burst

    return receive
