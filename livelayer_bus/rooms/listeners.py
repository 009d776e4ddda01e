"""Handlers on an SDK room that never let an exception into the SDK, and come off together."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import final

from livekit import rtc
from livekit.rtc.room import EventTypes

from ..tasks import log_fault

logger = logging.getLogger(__name__)


def report(what: str, error: Exception) -> None:
    """Log that code of ours failed inside the SDK; never with the event's payload."""
    log_fault(logger, what, error)


@final
class Listeners:
    """This adapter's handlers on one room."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._attached: list[tuple[EventTypes, Callable[..., None]]] = []
        self._closed = False

    def add(self, event: EventTypes, handler: Callable[..., None]) -> None:
        """Call `handler` with the event's arguments until `close()`."""

        def shielded(*args: object) -> None:
            # The emitter walks a copy: one that was just taken off may still be called.
            if self._closed:
                return
            try:
                handler(*args)
            except Exception as error:  # noqa: BLE001 - the SDK would log it with the payload
                report(f"the handler for {event}", error)

        self._room.on(event, shielded)
        self._attached.append((event, shielded))

    def close(self) -> None:
        """Take every handler off."""
        self._closed = True
        for event, handler in self._attached:
            self._room.off(event, handler)
        self._attached.clear()
