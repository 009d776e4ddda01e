"""aiopubsub with subscribers that consume: a queue and a task for each reader."""

from __future__ import annotations

from collections.abc import Callable

from aiopubsub import Hub, Key, Subscriber

from ._tasks import ReaderTasks

NAME = "aiopubsub, consume()"
DELIVERS_TO = "task"
REQUIRES = ("aiopubsub",)
SHARE = 0.5

KEY = Key("bench", "event")


class FanOut:
    def __init__(self, readers: int, burst: int, done: Callable[[], None]) -> None:
        self._hub = Hub()
        self._readers, self._burst, self._done = readers, burst, done
        self._tasks = ReaderTasks()

    async def open(self) -> None:
        await self._tasks.start(*(self._read(str(n)) for n in range(self._readers)))

    def publish(self, event: object) -> None:
        self._hub.publish(KEY, event)

    async def _read(self, name: str) -> None:
        subscriber = Subscriber(self._hub, name)
        subscriber.async_subscribe(KEY)
        left = self._burst
        while True:
            await subscriber.consume()
            left -= 1
            if not left:
                self._done()
                left = self._burst

    async def close(self) -> None:
        await self._tasks.stop()
