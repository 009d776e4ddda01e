"""The way out: messages leave reliably, in order, by one task, through a bounded queue."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Final, TypeAlias, final

from livekit import rtc

from livelayer_bus.errors import MessageTooLargeError
from livelayer_bus.messages import Message, encode

from .statistics import Counts

OUTBOX_LIMIT: Final = 256
MAX_MESSAGE_BYTES: Final = 15_360
"""LiveKit's limit of a reliable data packet."""

Outgoing: TypeAlias = Message | Mapping[str, object]
_LOG = logging.getLogger(__name__)


@final
class Outbox:
    """Sends messages in the order of `put`; at most `OUTBOX_LIMIT` wait, more are counted."""

    def __init__(self, room: rtc.Room, counts: Counts) -> None:
        self._room = room
        self._counts = counts
        self._waiting: deque[tuple[bytes, list[str]]] = deque()
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, message: Outgoing, to: str | None = None) -> bool:
        """Queue a message for everybody, or for one participant; False if the outbox is full.

        Raises:
            MalformedMessageError: it is no message.
            MessageTooLargeError: it exceeds `MAX_MESSAGE_BYTES`.
        """
        data = encode(message)
        if len(data) > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(len(data), MAX_MESSAGE_BYTES)
        if len(self._waiting) >= OUTBOX_LIMIT:
            self._counts["dropped"] += 1
            return False
        self._waiting.append((data, [to] if to else []))
        self._empty.clear()
        self._wake.set()
        return True

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._send(*self._waiting.popleft())
            self._empty.set()

    async def drained(self) -> None:
        """Return when nothing waits."""
        await self._empty.wait()

    async def _send(self, data: bytes, identities: list[str]) -> None:
        try:
            await self._room.local_participant.publish_data(
                data, reliable=True, destination_identities=identities
            )
        except Exception:  # noqa: BLE001 - outside a room the SDK raises whatever it happens to
            self._counts["failed"] += 1
            _LOG.warning("a data message of %d bytes was not sent", len(data))
        else:
            self._counts["sent"] += 1
