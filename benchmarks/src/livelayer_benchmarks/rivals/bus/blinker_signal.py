"""blinker: signals, delivered to callbacks inside the publisher."""

from __future__ import annotations

from collections.abc import Callable

from blinker import Signal

from .direct_call import reader

NAME = "blinker"
DELIVERS_TO = "callback"
REQUIRES = ("blinker",)
SHARE = 0.5


class FanOut:
    def __init__(self, readers: int, burst: int, done: Callable[[], None]) -> None:
        self._signal = Signal()
        self._receivers = [reader(burst, done) for _ in range(readers)]
        for receiver in self._receivers:
            self._signal.connect(receiver)

    async def open(self) -> None:
        pass

    def publish(self, event: object) -> None:
        self._signal.send(event)

    async def close(self) -> None:
        pass
