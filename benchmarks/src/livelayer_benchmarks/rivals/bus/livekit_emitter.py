"""The LiveKit SDK's own EventEmitter: callbacks inside the publisher."""

from __future__ import annotations

from collections.abc import Callable

from livekit.rtc import EventEmitter

from .direct_call import reader

NAME = "livekit EventEmitter"
DELIVERS_TO = "callback"
REQUIRES: tuple[str, ...] = ()
SHARE = 0.2


class FanOut:
    def __init__(self, readers: int, burst: int, done: Callable[[], None]) -> None:
        self._emitter: EventEmitter[str] = EventEmitter()
        for _ in range(readers):
            self._emitter.on("event", reader(burst, done))

    async def open(self) -> None:
        pass

    def publish(self, event: object) -> None:
        self._emitter.emit("event", event)

    async def close(self) -> None:
        pass
