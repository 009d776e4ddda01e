"""Data packets and who sent them, also before the server has introduced the sender.

A LiveKit server may announce a participant seconds after its first packets: to be told from a
guest's, an agent's early packets wait until their sender is known.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final, final

from livekit import rtc

from livelayer_bus.contract import RoomSink
from livelayer_bus.rooms.agent import AgentWatch

HOLD_SECONDS: Final = 5.0  # a packet waits for its sender; servers batch announcements over 3 s
MAX_HELD: Final = 256  # packets; beyond that the oldest goes on as a stranger's


@final
class AttributedRoom(rtc.Room):
    """An SDK room that also remembers the identity on the data packet it is emitting.

    The SDK's public packet names its sender only by a participant object, and so by None before
    that participant is known. This reads the identity from the event on its way through a private
    method; should an SDK release rename that method, senders merely stay unknown for longer.
    """

    packet_sender: str = ""

    def _on_room_event(self, event: Any) -> None:
        if event.HasField("data_packet_received"):
            self.packet_sender = event.data_packet_received.participant_identity
        super()._on_room_event(event)


@final
class _Held:
    __slots__ = ("data", "sender", "topic")

    def __init__(self, data: bytes, sender: str, topic: str | None) -> None:
        self.data = data
        self.sender = sender
        self.topic = topic


@final
class Packets:
    """Passes packets on, those of one sender in order, each with what is known of its sender."""

    def __init__(self, room: rtc.Room, sink: RoomSink, agent: AgentWatch) -> None:
        self._room = room
        self._sink = sink
        self._agent = agent
        self._held: deque[_Held] = deque()
        self._expiry: asyncio.TimerHandle | None = None

    def receive(self, packet: rtc.DataPacket) -> None:
        """Take one packet from the SDK."""
        sender = packet.participant
        if sender is not None:
            # What its early packets waited for: they go first.
            self.look()
            self._deliver(packet.data, sender.identity, packet.topic)
            return
        # Empty for what the server itself sends: there is nobody to wait for.
        identity = self._room.packet_sender if isinstance(self._room, AttributedRoom) else ""
        if not identity:
            self._deliver(packet.data, None, packet.topic)
            return
        self._held.append(_Held(packet.data, identity, packet.topic))
        if len(self._held) > MAX_HELD:
            self._release(self._held.popleft())
        if self._expiry is None:
            self._expiry = asyncio.get_running_loop().call_later(HOLD_SECONDS, self._expire)

    def look(self) -> None:
        """Release the packets whose senders are known by now."""
        if not self._held:
            return
        waiting, self._held = self._held, deque()
        for held in waiting:
            if self._agent.find(held.sender) is None:
                self._held.append(held)
            else:
                self._release(held)

    def close(self) -> None:
        """Forget what is held."""
        self._held.clear()
        if self._expiry is not None:
            self._expiry.cancel()

    def _expire(self) -> None:
        self._expiry = None
        while self._held:
            self._release(self._held.popleft())

    def _release(self, held: _Held) -> None:
        self._deliver(held.data, held.sender, held.topic)

    def _deliver(self, data: bytes, sender: str | None, topic: str | None) -> None:
        participant = self._agent.find(sender) if sender is not None else None
        self._sink.packet(
            data,
            sender=sender,
            topic=topic or None,
            from_agent=self._agent.speaks_for_agent(participant),
        )
