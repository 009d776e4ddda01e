"""The room's data channel: packets become typed messages, messages leave in order, all counted."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Final, TypeAlias, final

from livekit import rtc

from livelayer_bus.errors import MalformedMessageError, MessageTooLargeError
from livelayer_bus.messages import Message, RawMessage, ToAgent, decode, encode
from livelayer_bus.rooms import names

from .statistics import Counts

MAX_PACKET: Final = 65_536
"""Bytes of the largest packet that is decoded; LiveKit allows 15 KiB for a reliable one."""
QUEUE_LIMIT: Final = 256
"""Messages that may wait to be sent."""
MAX_MESSAGE_BYTES: Final = 15_360
"""LiveKit's limit for a reliable data packet."""

Incoming: TypeAlias = ToAgent | RawMessage
Outgoing: TypeAlias = Message | Mapping[str, object]

logger = logging.getLogger(__name__)


def is_person(participant: rtc.RemoteParticipant) -> bool:
    """Whether a participant may be a user: not an agent, a recorder or an ingress."""
    return participant.kind not in (
        rtc.ParticipantKind.PARTICIPANT_KIND_AGENT,
        rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS,
        rtc.ParticipantKind.PARTICIPANT_KIND_INGRESS,
    )


def read(packet: rtc.DataPacket, counts: Counts) -> Incoming | None:
    """Return the surface's message in a packet; None, and a count, if there is none.

    Never raises, whatever the packet holds.
    """
    if (packet.topic or "").startswith(names.RESERVED_PREFIX):
        return None
    if packet.participant is not None and not is_person(packet.participant):
        counts["unexpected"] += 1
        return None
    if len(packet.data) > MAX_PACKET:
        counts["oversized"] += 1
        return None
    try:
        message = decode(packet.data)
    except MalformedMessageError:
        counts["malformed"] += 1
        return None
    if not isinstance(message, ToAgent | RawMessage):
        counts["unexpected"] += 1
        return None
    counts["received"] += 1
    return message


@final
class MessageSender:
    """Sends messages reliably, in the order of `send`, from one task, through a bounded queue."""

    def __init__(self, room: rtc.Room, counts: Counts) -> None:
        self._room = room
        self._counts = counts
        self._waiting: deque[tuple[bytes, list[str], str]] = deque()
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def send(self, message: Outgoing, to: str | None = None) -> bool:
        """Queue a message for one participant, or for all (None); False if the queue is full.

        Raises:
            MalformedMessageError: the message is not valid.
            MessageTooLargeError: it exceeds `MAX_MESSAGE_BYTES`.
        """
        data = encode(message)
        if len(data) > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(len(data), MAX_MESSAGE_BYTES)
        return self._put(data, [to] if to else [])

    def confirm(self, message_id: str, to: str) -> None:
        """Queue the confirmation of a message; without room for it, the message comes again."""
        self._put(message_id.encode(), [to], names.CONFIRMED_TOPIC)

    def _put(self, data: bytes, to: list[str], topic: str = "") -> bool:
        if len(self._waiting) >= QUEUE_LIMIT:
            self._counts["dropped"] += 1
            return False
        self._waiting.append((data, to, topic))
        self._empty.clear()
        self._wake.set()
        return True

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._publish(*self._waiting.popleft())
            self._empty.set()

    async def drained(self) -> None:
        """Wait until the queue is empty."""
        await self._empty.wait()

    async def _publish(self, data: bytes, identities: list[str], topic: str) -> None:
        try:
            await self._room.local_participant.publish_data(
                data, reliable=True, destination_identities=identities, topic=topic
            )
        except Exception:  # noqa: BLE001 - outside a room the SDK raises any kind of error
            self._counts["failed"] += 1
            logger.warning("a data message of %d bytes was not sent", len(data))
        else:
            self._counts["sent"] += 1
