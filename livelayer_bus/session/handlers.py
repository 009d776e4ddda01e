"""Callbacks for data messages, each behind a cursor of its own, never inside `publish`."""

from __future__ import annotations

import logging
from typing import final

from ..contract import DataHandler, Unsubscribe
from ..errors import Lagged, describe, place_of
from ..events import DataReceived, HandlerFailed
from ..tasks import TaskOwner, fault_of, log_fault
from .store import Store, take_next

logger = logging.getLogger(__name__)


@final
class Handlers:
    """Runs any number of handlers; what one raises, or never returns from, is its own matter."""

    def __init__(self, store: Store, tasks: TaskOwner) -> None:
        self._store = store
        self._tasks = tasks

    def add(self, handler: DataHandler) -> Unsubscribe:
        """Call `handler` with every packet from now on, one after the other."""
        reader = _Reader(handler, self._store)
        task = self._tasks.start(reader.run, f"handler {reader.name}")

        def unsubscribe() -> None:
            reader.active = False
            if not task.is_current():
                task.cancel()
                reader.close()  # a task that is cancelled before its first step never does

        return unsubscribe


class _Reader:
    def __init__(self, handler: DataHandler, store: Store) -> None:
        self.name = str(getattr(handler, "__qualname__", type(handler).__qualname__))
        self.active = True
        self._handler = handler
        self._store = store
        self._cursor = store.bus.subscribe(DataReceived).__enter__()

    def close(self) -> None:
        self._cursor.__exit__(None, None, None)

    async def run(self) -> None:
        try:
            while self.active:
                await self._step()
        finally:
            self.close()

    async def _step(self) -> None:
        event, lagged = await take_next(self._cursor)
        if lagged is not None:
            self._failed(lagged)
        self.active = self.active and event is not None
        if event is None or not self.active:
            return
        error = await fault_of(lambda: self._handler(event))
        if error is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, Lagged):
            log_fault(logger, f"data handler {self.name}", error)
        self._store.publish_late(HandlerFailed(self.name, describe(error), place_of(error)))
