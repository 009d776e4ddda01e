"""A loop over plain callbacks: no order of its own, no protection, the least one can do."""

from __future__ import annotations

from collections.abc import Callable

NAME = "direct calls"
DELIVERS_TO = "callback"
REQUIRES: tuple[str, ...] = ()
SHARE = 1.0


class FanOut:
    def __init__(self, readers: int, burst: int, done: Callable[[], None]) -> None:
        self._callbacks = [reader(burst, done) for _ in range(readers)]

    async def open(self) -> None:
        pass

    def publish(self, event: object) -> None:
        for callback in self._callbacks:
            callback(event)

    async def close(self) -> None:
        pass


def reader(burst: int, done: Callable[[], None]) -> Callable[[object], None]:
    """Return a callback that counts as the reader tasks do."""
    left = burst

    def receive(event: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            done()
            left = burst

    return receive
