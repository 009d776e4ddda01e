"""anyio's memory object streams, one for each reader."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from ._tasks import ReaderTasks

NAME = "anyio streams"
DELIVERS_TO = "task"
REQUIRES: tuple[str, ...] = ()
SHARE = 0.2


class FanOut:
    def __init__(self, readers: int, burst: int, done: Callable[[], None]) -> None:
        self._burst, self._done = burst, done
        self._senders: list[MemoryObjectSendStream[object]] = []
        self._receivers: list[MemoryObjectReceiveStream[object]] = []
        for _ in range(readers):
            send, receive = anyio.create_memory_object_stream[object](burst)
            self._senders.append(send)
            self._receivers.append(receive)
        self._tasks = ReaderTasks()

    async def open(self) -> None:
        await self._tasks.start(*(self._read(stream) for stream in self._receivers))

    def publish(self, event: object) -> None:
        for stream in self._senders:
            stream.send_nowait(event)

    async def _read(self, stream: MemoryObjectReceiveStream[object]) -> None:
        left = self._burst
        async for _ in stream:
            left -= 1
            if not left:
                self._done()
                left = self._burst

    async def close(self) -> None:
        await self._tasks.stop()
        for sender in self._senders:
            sender.close()
        for receiver in self._receivers:
            receiver.close()


class Wake:
    def __init__(self, woken: Callable[[], None]) -> None:
        self._woken = woken
        self._send, self._receive = anyio.create_memory_object_stream[object](1)
        self._tasks = ReaderTasks()
        self.publish = self._send.send_nowait

    async def open(self) -> None:
        await self._tasks.start(self._read())

    async def _read(self) -> None:
        woken = self._woken
        async for _ in self._receive:
            woken()

    async def close(self) -> None:
        await self._tasks.stop()
        self._send.close()
        self._receive.close()
