"""aiopubsub with synchronous listeners: callbacks inside the publisher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiopubsub import Hub, Key, Subscriber

from .direct_call import reader

NAME = "aiopubsub, callbacks"
DELIVERS_TO = "callback"
REQUIRES = ("aiopubsub",)
SHARE = 1.0

KEY = Key("bench", "event")


class FanOut:
    def __init__(self, readers: int, burst: int, done: Callable[[], None]) -> None:
        self._hub = Hub()
        for number in range(readers):
            receive = reader(burst, done)

            def listen(key: Key, event: Any, receive: Callable[[object], None] = receive) -> None:
                receive(event)

            Subscriber(self._hub, str(number)).add_sync_listener(KEY, listen)

    async def open(self) -> None:
        pass

    def publish(self, event: object) -> None:
        self._hub.publish(KEY, event)

    async def close(self) -> None:
        pass
