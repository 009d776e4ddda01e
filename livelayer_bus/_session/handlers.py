"""Callbacks for data messages, each behind a cursor of its own, never inside `publish`."""

from __future__ import annotations

from typing import final

from .._tasks import TaskOwner, fault_of
from ..contract import DataHandler, Unsubscribe
from ..errors import Lagged
from ..events import DataReceived, HandlerFailed
from ..supervision import describe
from .store import Store


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

        return unsubscribe


class _Reader:
    def __init__(self, handler: DataHandler, store: Store) -> None:
        self.name = str(getattr(handler, "__qualname__", type(handler).__qualname__))
        self.active = True
        self._handler = handler
        self._store = store
        self._cursor = store.bus.subscribe(DataReceived).__enter__()

    async def run(self) -> None:
        try:
            while self.active:
                await self._step()
        finally:
            self._cursor.__exit__(None, None, None)

    async def _step(self) -> None:
        error: Exception | None
        try:
            event = await anext(self._cursor, None)
        except Lagged as lagged:
            error = lagged
        else:
            self.active = self.active and event is not None
            if event is None or not self.active:
                return
            error = await fault_of(lambda: self._handler(event))
        if error is not None:
            self._store.publish_late(HandlerFailed(self.name, describe(error)))
