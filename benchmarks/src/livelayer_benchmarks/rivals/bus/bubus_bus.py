"""bubus: pydantic events, handlers run by the bus's own task."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from bubus import BaseEvent, EventBus

from .direct_call import reader

NAME = "bubus"
DELIVERS_TO = "task"
REQUIRES = ("bubus",)
SHARE = 0.0005  # an event takes it most of a millisecond
BURST = 16  # it takes no more than a few dozen unfinished events

logging.getLogger("bubus").setLevel(logging.CRITICAL)


class Carrier(BaseEvent[None]):  # type: ignore[misc]  # bubus is untyped for mypy
    """bubus takes its own events only; this one carries the workload's."""

    payload: Any = None


class FanOut:
    def __init__(self, readers: int, burst: int, done: Callable[[], None]) -> None:
        self._readers, self._burst, self._done = readers, burst, done
        self._bus = EventBus(max_history_size=10)

    async def open(self) -> None:
        for number in range(self._readers):
            self._bus.on(Carrier, handler(number, reader(self._burst, self._done)))

    def publish(self, event: object) -> None:
        self._bus.dispatch(Carrier(payload=event))

    async def close(self) -> None:
        await self._bus.stop(timeout=0, clear=True)


def handler(number: int, receive: Callable[[object], None]) -> Callable[[Carrier], Any]:
    """Return a handler of its own name, which bubus asks for."""

    async def handle(event: Carrier) -> None:
        receive(event)

    handle.__name__ = f"handle_{number}"
    return handle
