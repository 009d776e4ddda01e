"""The one production room adapter: a session's room on the public `livekit` SDK."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, final

import msgspec
from livekit import rtc
from livekit.rtc.room import EventTypes

from .. import errors
from ..clock import Clock, SystemClock
from ..errors import ClosedError, ConnectError, MisuseError
from ..media.publishing import F, PublishedTrack, SourceName
from ..tasks import RootTask, TaskOwner
from ..tokens import RoomAccess
from ..tokens.access import shown
from . import port
from .agent import AgentMedia, AgentWatch
from .errors import broken, join_error, report, room_loss
from .port import MediaWriters, RoomLost, RoomPort, RoomSink
from .publishing import Publications
from .sdk_private import keep, prepare_sdk, run_to_end
from .track_readers import PAUSE_AFTER, Pausing
from .transcription import Transcriptions

JOIN_SECONDS: Final = 15.0  # for a join as a whole; the SDK alone would try for over 30 s
SIGNAL_SECONDS: Final = 5.0  # for each of the SDK's own attempts
LEAVE_SECONDS: Final = 3.0  # for a leave; a server that is gone never answers it
READER_SECONDS: Final = 2.0  # for the readers of streams to end, each bounded by itself
SILENCE_SECONDS: Final = 0.5  # from the state "disconnected" to its reason, if there is one

_CHANGES: Final[tuple[EventTypes, ...]] = (
    "participant_connected", "participant_active", "participant_attributes_changed",
    "track_subscribed", "track_unsubscribed", "track_unpublished",
)  # fmt: skip


class RoomStatistics(msgspec.Struct, frozen=True):
    """One room connection so far."""

    transcriptions_open: int
    """Transcription streams being read now."""
    transcriptions_abandoned: int
    """Streams given up because too many were open, or one grew too long; their text stays."""
    microphone_dropped: int
    """Frames of the microphone that no agent heard: it came more than 10 s later."""


@dataclass(eq=False)
class _RoomEvents:
    """Reports an SDK room's events as `RoomEvent`s."""

    agent: AgentWatch
    media: AgentMedia
    transcriptions: Transcriptions
    publications: Publications
    _attached: list[tuple[EventTypes, Callable[..., None]]] = field(default_factory=list)
    _on_disconnected: Callable[[int], None] | None = None
    _silence: asyncio.TimerHandle | None = None
    _closed: bool = False

    def attach(self, on_disconnected: Callable[[int], None], *, transcripts: bool) -> None:
        """Start to listen; `on_disconnected` gets the SDK's reason when the connection ends."""
        self._on_disconnected = on_disconnected
        if transcripts:
            self.transcriptions.attach()
        self._on("disconnected", self._end)
        self._on("connection_state_changed", self._on_state)
        interrupted = port.ConnectionInterrupted("the connection to the room was interrupted")
        self._on("reconnecting", lambda: self.agent.sink.report(interrupted))
        self._on("reconnected", self._on_reconnected)
        self._on("participant_disconnected", self._on_left)
        self._on("track_muted", lambda _, publication: self.media.set_muted(publication, True))
        self._on("track_unmuted", lambda _, publication: self.media.set_muted(publication, False))
        self._on("data_received", self._on_data)
        for event in _CHANGES:
            self._on(event, lambda *_: self.look())

    def _on(self, event: EventTypes, handler: Callable[..., None]) -> None:
        def shielded(*args: object) -> None:
            # The emitter walks a copy: a handler that was just taken off may still be called.
            if self._closed:
                return
            try:
                handler(*args)
            except Exception as error:  # noqa: BLE001 - the SDK would log it with the payload
                report(f"the handler for {event}", error)

        self.agent.room.on(event, shielded)
        self._attached.append((event, shielded))

    def look(self) -> None:
        self.agent.look()
        presence = self.agent.presence
        self.publications.agent_changed(presence.identity if presence.active else None)
        self.media.look()

    def close(self) -> None:
        self._closed = True
        for event, handler in self._attached:
            self.agent.room.off(event, handler)
        self._attached.clear()
        self._on_disconnected = None
        if self._silence is not None:
            self._silence.cancel()
        self.transcriptions.close()
        self.media.close()

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        self.agent.left(participant)
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
            later, reason = asyncio.get_running_loop().call_later, rtc.DisconnectReason
            self._silence = later(SILENCE_SECONDS, self._end, reason.CLIENT_INITIATED)

    def _on_reconnected(self) -> None:
        self.agent.sink.report(port.ConnectionRestored())
        self.look()

    def _on_data(self, packet: rtc.DataPacket) -> None:
        # The SDK drops the sender of a packet that outran its sender's announcement, which a
        # server may hold back for seconds: such a packet has no sender, so it is not an agent's.
        sender = packet.participant
        from_agent = self.agent.speaks_for_this_agent(sender)
        identity, topic = sender.identity if sender else None, packet.topic or None
        event = port.PacketReceived(packet.data, identity, topic, from_agent)
        self.agent.sink.report(event)


class _SdkRoom(RoomPort):
    """What an own room and a borrowed one have in common: all but joining and leaving."""

    def __init__(
        self, pausing: Pausing, borrowed: rtc.Room | None = None, transcripts: bool = True
    ) -> None:
        self._pausing = pausing
        self._borrowed = borrowed
        self._transcripts = transcripts
        self._room: rtc.Room | None = None
        self._room_name: str | None = None
        self._room_events: _RoomEvents | None = None
        self._tasks = TaskOwner()
        self._publications = Publications()
        self._attributes = set[str]()
        self._used = False
        self._closed = False
        self._done = asyncio.Event()
        self._loss: RoomLost | None = None

    @property
    def native(self) -> rtc.Room | None:
        return self._room

    @property
    def room_name(self) -> str | None:
        return self._room_name

    def statistics(self) -> RoomStatistics:
        streams = self._room_events.transcriptions if self._room_events else None
        return RoomStatistics(
            transcriptions_open=len(streams.open) if streams else 0,
            transcriptions_abandoned=streams.abandoned if streams else 0,
            microphone_dropped=self._publications.dropped,
        )

    async def connect(self, access: RoomAccess, sink: RoomSink, media: MediaWriters) -> None:
        # Cancelled or failed, it leaves nothing attached and has left the room.
        if self._closed:
            raise ClosedError("the room")
        if self._used:
            raise MisuseError("a room is connected once: create another one")
        self._used = True
        room = self._borrowed or rtc.Room()
        agent = AgentWatch(room, sink)
        tracks = AgentMedia(agent, media, self._tasks, self._pausing)
        transcriptions = Transcriptions(agent, self._tasks)
        room_events = _RoomEvents(agent, tracks, transcriptions, self._publications)
        joined = False
        try:
            room_events.attach(self._on_disconnected, transcripts=self._transcripts)
            await self._join(room, access)
            joined = room.isconnected() and not self._is_closed()
        finally:
            if not joined:
                room_events.close()
        if self._is_closed():
            self._leave(room)
            raise ClosedError("the room")
        if not joined:
            loss = self._loss or room_loss(rtc.DisconnectReason.UNKNOWN_REASON)
            raise ConnectError(shown(access.url), loss.reason, retryable=loss.rejoin)
        self._room, self._room_events = room, room_events
        self._room_name = room.name or access.room_name
        room_events.look()

    async def send(self, data: bytes, *, topic: str | None = None, to: Sequence[str] = ()) -> None:
        call = self._joined().local_participant.publish_data(
            data, reliable=True, destination_identities=list(to), topic=topic or ""
        )
        await _taken(call, "packet")

    async def send_text(self, text: str, *, topic: str, to: Sequence[str] = ()) -> None:
        participant = self._joined().local_participant
        call = participant.send_text(text, topic=topic, destination_identities=list(to))
        await _taken(call, "text")

    async def set_attributes(self, attributes: Mapping[str, str]) -> None:
        participant = self._joined().local_participant
        # The SDK reports no refusal. Empty: the server does not send permissions.
        permissions = participant.permissions
        if permissions.ByteSize() and not permissions.can_update_metadata:
            raise errors.RefusedError("attributes need a token with canUpdateOwnMetadata")
        self._attributes |= attributes.keys()
        await _taken(participant.set_attributes(dict(attributes)), "attributes")

    async def open_track(self, source: SourceName, frame: F) -> PublishedTrack[F]:
        return await self._publications.open(self._joined(), source, frame)

    async def aclose(self) -> None:
        """Take every handler off, and leave the room unless it was borrowed; bounded in time."""
        if self._closed:
            await self._done.wait()
            return
        self._closed = True
        events = self._room_events
        try:
            if events is not None:
                events.close()
            await self._publications.aclose()
            await self._tasks.aclose(READER_SECONDS)
            if events is not None:
                await events.media.settled()
        finally:
            room = self._room
            self._room = self._room_events = None
            departure = self._leave(room)
            self._done.set()
        if departure is not None:
            await departure.wait(LEAVE_SECONDS)

    @abstractmethod
    async def _join(self, room: rtc.Room, access: RoomAccess) -> None:
        """Return when `room` is connected."""

    def _leave(self, room: rtc.Room | None) -> RootTask | None:
        """Start to leave what was joined; the task that does it, if there is something to do."""
        return leaving(room) if room is not None and self._borrowed is None else None

    def _is_closed(self) -> bool:
        # Asked after each await: `aclose` may have run meanwhile.
        return self._closed

    def _joined(self) -> rtc.Room:
        if self._room is None or not self._room.isconnected():
            raise errors.BrokenError("the room is not joined (any more): connect again")
        return self._room

    def _on_disconnected(self, reason: int) -> None:
        self._loss = room_loss(reason)
        if self._borrowed is not None:
            self._loss = msgspec.structs.replace(self._loss, rejoin=False)
        if self._room_events is not None:
            self._room_events.media.close()  # their connection has ended
            self._room_events.agent.sink.report(self._loss)


async def _taken(call: Awaitable[object], what: str) -> None:
    try:
        await call
    except Exception as exc:
        raise broken(f"the room did not take the {what}", exc) from exc


@final
class LiveKitRoom(_SdkRoom):
    """One connection to a LiveKit room: a `RoomPort`, used once."""

    def __init__(
        self, *, pause_after: float | None = PAUSE_AFTER, clock: Clock | None = None
    ) -> None:
        """Make a room that is not connected yet.

        Args:
            pause_after: seconds without a reader after which the agent's video is paused at the
                server, and no sound is taken from the SDK; None: never.
            clock: what they are measured on; for tests.
        """
        super().__init__(Pausing(pause_after, clock or SystemClock(), at_server=True))
        self._joining: RootTask | None = None

    async def aclose(self) -> None:
        await super().aclose()
        if self._joining is not None:
            await self._joining.wait(LEAVE_SECONDS)

    async def _join(self, room: rtc.Room, access: RoomAccess) -> None:
        prepare_sdk(access.url)
        given_up = False

        async def join() -> None:
            options = rtc.RoomOptions(connect_timeout=SIGNAL_SECONDS, single_peer_connection=False)
            await room.connect(access.url, access.token, options)
            keep(room)
            if given_up:
                await _leave(room)

        # Never cut short: that would leave a ghost in the room. Given up, it leaves at its end.
        task = self._joining = run_to_end(join, "joining a room")
        joined = False
        try:
            ended = await task.wait(JOIN_SECONDS)
            joined = ended and task.error is None
        finally:
            given_up = not joined
            if given_up and task.ended and task.error is None:
                self._joining = leaving(room)
        if not ended:
            raise ConnectError(shown(access.url), f"no answer within {JOIN_SECONDS:g} s")
        if task.error is not None:
            # A copy: the SDK quotes the token in its text, which a traceback would print.
            foreign = rtc.ConnectError(errors.without_tokens(str(task.error), access.token))
            raise join_error(access.url, access.token, str(foreign)) from foreign


def leaving(room: rtc.Room) -> RootTask:
    """Start to leave `room`; the task ends within `LEAVE_SECONDS` and never raises."""
    return run_to_end(partial(_leave, room), "leaving a room")


async def _leave(room: rtc.Room) -> None:
    try:
        async with asyncio.timeout(LEAVE_SECONDS):
            await room.disconnect()
    except TimeoutError:
        return  # the SDK's own task was cancelled with it; the server notices by itself
    except Exception as error:  # noqa: BLE001 - no caller is left to raise to
        report("leaving a room", error)


@final
class BorrowedRoom(_SdkRoom):
    """A room that the application connected, an agent job's for example: a `RoomPort`, used once.

    `connect` only listens and takes up what is there; `aclose` takes every handler off again and
    leaves the room connected. A connection that is lost cannot be rejoined from here.
    """

    def __init__(
        self, room: rtc.Room, *, transcripts: bool = True, clock: Clock | None = None
    ) -> None:
        """Work with `room`, which must be connected by the time `connect` is called.

        Args:
            room: the SDK's room; use it in the loop it was connected in.
            transcripts: take the room's `lk.transcription` topic, of which the SDK allows one
                handler. False leaves it alone; the session then has no transcript.
            clock: what the time without readers is measured on; for tests.
        """
        # Others may read the same track: it is never paused at the server.
        pausing = Pausing(PAUSE_AFTER, clock or SystemClock(), at_server=False)
        super().__init__(pausing, room, transcripts)

    async def aclose(self) -> None:
        """Take every handler and attribute off; the room stays joined."""
        room = self._room
        await super().aclose()
        if self._attributes and room is not None and room.isconnected():
            ours = dict.fromkeys(self._attributes, "")
            with suppress(Exception):  # no fault of the owner's
                await asyncio.wait_for(room.local_participant.set_attributes(ours), LEAVE_SECONDS)

    async def _join(self, room: rtc.Room, access: RoomAccess) -> None:
        if not room.isconnected():
            raise ConnectError(
                shown(access.url), "the borrowed room is not connected", retryable=False
            )
        keep(room)
