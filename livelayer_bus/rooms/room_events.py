"""Attaches everything of this package to one SDK room, and takes it off again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, final

from livekit import rtc
from livekit.rtc.room import EventTypes

from ..tasks import TaskOwner
from .agent import AgentWatch
from .errors import report
from .media import AgentMedia
from .port import ConnectionInterrupted, ConnectionRestored, MediaWriters, PacketReceived, RoomSink
from .publishing import Publications
from .track_readers import Pausing
from .transcription import Transcriptions

SILENCE_SECONDS: Final = 0.5  # from the state "disconnected" to its reason, if there is one


@final
class _Listeners:
    """Handlers on one room that never let an exception into the SDK, and come off together."""

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


@final
class RoomEvents:
    """Reports an SDK room's events as `RoomEvent`s."""

    def __init__(
        self,
        room: rtc.Room,
        sink: RoomSink,
        media: MediaWriters,
        tasks: TaskOwner,
        pausing: Pausing,
        publications: Publications,
    ) -> None:
        self._sink = sink
        self._publications = publications
        self._agent = AgentWatch(room, sink)
        self._media = AgentMedia(room, sink, media, self._agent, tasks, pausing)
        self._listeners = _Listeners(room)
        self._on_disconnected: Callable[[int], None] | None = None
        self._silence: asyncio.TimerHandle | None = None
        self.transcriptions = Transcriptions(room, sink, self._agent.role, tasks)

    def attach(self, on_disconnected: Callable[[int], None], *, transcripts: bool) -> None:
        """Start to listen; `on_disconnected` gets the SDK's reason when the connection ends.

        Raises:
            BusyError: `transcripts`, and another handler has the room's transcriptions.
        """
        self._on_disconnected = on_disconnected
        if transcripts:
            self.transcriptions.attach()
        on = self._listeners.add
        on("disconnected", self._end)
        on("connection_state_changed", self._on_state)
        on("reconnecting", self._on_reconnecting)
        on("reconnected", self._on_reconnected)
        on("participant_connected", self._on_change)
        on("participant_active", self._on_change)
        on("participant_disconnected", self._on_left)
        on("participant_attributes_changed", self._on_change)
        on("track_subscribed", self._on_change)
        on("track_unsubscribed", self._on_change)
        on("track_unpublished", self._on_change)
        on("track_muted", lambda _, publication: self._media.set_muted(publication, True))
        on("track_unmuted", lambda _, publication: self._media.set_muted(publication, False))
        on("data_received", self._on_data)

    def look(self) -> None:
        """Report what is in the room and was not reported yet."""
        self._agent.look()
        self._publications.agent_changed(self._agent.active)
        self._media.look()

    def end_media(self) -> None:
        """Report that the agent's tracks are gone: their connection has ended."""
        self._media.close()

    def close(self) -> None:
        """Take everything off; nothing of the room is reported from now on."""
        self._listeners.close()
        self._on_disconnected = None
        if self._silence is not None:
            self._silence.cancel()
        self.transcriptions.close()
        self._media.close()

    async def settled(self) -> None:
        """Wait until the SDK has ended the media streams that were read; bounded in time."""
        await self._media.settled()

    def _on_change(self, *_: object) -> None:
        self.look()

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        self._agent.left(participant)
        self.look()

    def _end(self, reason: int) -> None:
        if self._silence is not None:
            self._silence.cancel()
        if self._on_disconnected is not None:
            on_disconnected, self._on_disconnected = self._on_disconnected, None
            on_disconnected(reason)

    def _on_state(self, state: int) -> None:
        # A client that disconnects itself may hear only of the state: its SDK races against the
        # end of its own events. The reason, if one comes, follows at once.
        if state == rtc.ConnectionState.CONN_DISCONNECTED and self._silence is None:
            self._silence = asyncio.get_running_loop().call_later(
                SILENCE_SECONDS, self._end, rtc.DisconnectReason.CLIENT_INITIATED
            )

    def _on_reconnecting(self) -> None:
        reason = "the connection to the room was interrupted"
        self._sink.report(ConnectionInterrupted(reason))

    def _on_reconnected(self) -> None:
        self._sink.report(ConnectionRestored())
        self.look()

    def _on_data(self, packet: rtc.DataPacket) -> None:
        # The SDK drops the sender of a packet that outran its sender's announcement, which a
        # server may hold back for seconds: such a packet has no sender, so it is not an agent's.
        sender = packet.participant
        self._sink.report(
            PacketReceived(
                packet.data,
                sender=sender.identity if sender else None,
                topic=packet.topic or None,
                from_agent=self._agent.speaks_for_this_agent(sender),
            )
        )
