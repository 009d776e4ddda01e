"""bubus: pydantic events, handlers run by the bus's own task."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from bubus import BaseEvent, EventBus

from ._readers import Publish, callbacks

NAME = "bubus"
PART = "task"
REQUIRES = ("bubus",)
SHARE = 0.0005  # an event takes it most of a millisecond
BURST = 16  # it takes no more than a few dozen unfinished events

logging.getLogger("bubus").setLevel(logging.CRITICAL)


class Carrier(BaseEvent[None]):  # type: ignore[misc]  # bubus is untyped for mypy
    """bubus takes its own events only; this one carries the workload's."""

    payload: Any = None


@asynccontextmanager
async def fan_out(readers: int, burst: int, done: Callable[[], None]) -> AsyncGenerator[Publish]:
    bus = EventBus(max_history_size=10)
    for number, receive in enumerate(callbacks(readers, burst, done)):
        bus.on(Carrier, handler(number, receive))
    yield lambda event: bus.dispatch(Carrier(payload=event))
    await bus.stop(timeout=0, clear=True)


def handler(number: int, receive: Publish) -> Callable[[Carrier], Any]:
    """Return a handler of its own name, which bubus asks for."""

    async def handle(event: Carrier) -> None:
        receive(event)

    handle.__name__ = f"handle_{number}"
    return handle
