"""The application's handlers, each behind its own bounded queue, so that none delays another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar, final

from livelayer_bus.messages import RawMessage, WireMessage
from livelayer_bus.tasks import TaskOwner, fault_of

from .data_channel import Incoming
from .statistics import Counts

QUEUE_LIMIT: Final = 64
"""Messages that may wait for one handler; further ones are dropped and counted."""

M = TypeVar("M", bound=WireMessage | RawMessage)
Handler: TypeAlias = Callable[[M, str], Awaitable[object] | object]
"""Called with a message and the identity of its sender; sync or async."""

logger = logging.getLogger(__name__)


@final
class DataListeners:
    """Calls the handlers of each message type; each gets one message at a time, in order."""

    def __init__(self, tasks: TaskOwner, counts: Counts) -> None:
        self._tasks = tasks
        self._counts = counts
        self._queues: dict[str, list[asyncio.Queue[tuple[Incoming, str]]]] = {}
        self._waiting: list[Callable[[], None]] = []
        self._running = False

    def add(self, kind: str, handler: Handler[Any]) -> None:
        """Call `handler` with every message of this type from now on."""
        queue: asyncio.Queue[tuple[Incoming, str]] = asyncio.Queue(QUEUE_LIMIT)
        self._queues.setdefault(kind, []).append(queue)

        def start() -> None:
            self._tasks.start(lambda: self._serve(kind, queue, handler), f"handler of {kind}")

        if self._running:
            start()
        else:
            self._waiting.append(start)

    def start(self) -> None:
        """Begin to call handlers."""
        self._running = True
        for start in self._waiting:
            start()
        self._waiting.clear()

    def full(self, message: Incoming) -> bool:
        """Whether a handler of this message would miss it."""
        return any(queue.full() for queue in self._queues.get(_kind(message), ()))

    def deliver(self, message: Incoming, sender: str) -> None:
        """Queue a message for its handlers; never waits."""
        for queue in self._queues.get(_kind(message), ()):
            try:
                queue.put_nowait((message, sender))
            except asyncio.QueueFull:
                self._counts["notices_dropped"] += 1

    async def _serve(
        self,
        kind: str,
        queue: asyncio.Queue[tuple[Incoming, str]],
        handler: Handler[Any],
    ) -> None:
        while True:
            message, sender = await queue.get()
            fault = await fault_of(partial(_call, handler, message, sender))
            if fault is not None:
                self._counts["handler_failures"] += 1
                logger.error("a handler of %r raised", kind, exc_info=fault)


def _kind(message: Incoming) -> str:
    return message.type if isinstance(message, RawMessage) else message.wire_type()


async def _call(handler: Handler[Any], message: Incoming, sender: str) -> None:
    result = handler(message, sender)
    if isinstance(result, Awaitable):
        await result
