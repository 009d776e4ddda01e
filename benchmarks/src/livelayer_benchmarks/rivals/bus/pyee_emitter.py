"""pyee: callbacks inside the publisher."""

from __future__ import annotations

from collections.abc import Callable

from pyee.base import EventEmitter

from .direct_call import reader

NAME = "pyee"
DELIVERS_TO = "callback"
REQUIRES = ("pyee",)
SHARE = 1.0


class FanOut:
    def __init__(self, readers: int, burst: int, done: Callable[[], None]) -> None:
        self._emitter = EventEmitter()
        for _ in range(readers):
            self._emitter.add_listener("event", reader(burst, done))

    async def open(self) -> None:
        pass

    def publish(self, event: object) -> None:
        self._emitter.emit("event", event)

    async def close(self) -> None:
        pass
