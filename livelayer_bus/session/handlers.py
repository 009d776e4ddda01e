"""Callbacks for data messages, each behind a cursor of its own, never inside `publish`."""

from __future__ import annotations

import functools
import logging
from contextlib import suppress
from typing import TypeAlias, final

from ..bus import Subscription
from ..contract import DataHandler, Unsubscribe
from ..errors import ClosedError, describe, place_of
from ..events import DataReceived, HandlerFailed
from ..state import SessionState
from ..tasks import TaskOwner, fault_of, log_fault
from .store import Store, take_next

logger = logging.getLogger(__name__)

Packets: TypeAlias = Subscription[DataReceived, SessionState]


@final
class Handlers:
    """Runs any number of handlers; one that raises or never returns does not affect the others."""

    def __init__(self, store: Store, tasks: TaskOwner) -> None:
        self._store = store
        self._tasks = tasks

    def add(self, handler: DataHandler) -> Unsubscribe:
        """Call `handler` with every packet from now on, one after the other."""
        name = str(getattr(handler, "__qualname__", type(handler).__qualname__))
        packets = self._store.bus.subscribe(DataReceived).__enter__()
        task = self._tasks.start(lambda: self._run(handler, name, packets), f"handler {name}")

        def unsubscribe() -> None:
            if not task.is_current():
                task.cancel()
            packets.close()  # ends a handler that unsubscribes itself, after this packet

        return unsubscribe

    async def _run(self, handler: DataHandler, name: str, packets: Packets) -> None:
        with suppress(ClosedError):
            while True:
                packet, lagged = await take_next(packets)
                if lagged is not None:
                    self._failed(name, lagged)
                if packet is None:
                    return
                error = await fault_of(functools.partial(handler, packet))
                if error is not None:
                    log_fault(logger, f"data handler {name}", error)
                    self._failed(name, error)

    def _failed(self, name: str, error: BaseException) -> None:
        self._store.publish_late(HandlerFailed(name, describe(error), place_of(error)))
