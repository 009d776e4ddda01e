"""The one production room adapter: a session's room on the public `livekit` SDK."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import Final, final

import msgspec
from livekit import rtc

from ..clock import Clock, SystemClock
from ..errors import BrokenError, ClosedError, ConnectError, MisuseError, RefusedError
from ..media.publishing import F, PublishedTrack, SourceName
from ..tasks import RootTask, TaskOwner
from ..tokens import RoomAccess
from ..tokens.addresses import shown
from .errors import broken, room_loss
from .joining import LEAVE_SECONDS, Joining, leaving
from .port import MediaWriters, RoomLost, RoomPort, RoomSink
from .publishing import Publications
from .room_events import RoomEvents
from .sdk_private import keep
from .track_readers import PAUSE_AFTER, Pausing

READER_SECONDS: Final = 2.0  # for the readers of streams to end, each bounded by itself


class RoomStatistics(msgspec.Struct, frozen=True):
    """One room connection so far."""

    transcriptions_open: int
    """Transcription streams being read now."""
    transcriptions_abandoned: int
    """Streams given up because too many were open, or one grew too long; their text stays."""
    microphone_dropped: int
    """Frames of the microphone that no agent heard: it came more than 10 s later."""


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
        self._sink: RoomSink | None = None
        self._room_events: RoomEvents | None = None
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
        """Count what this connection holds and gave up."""
        room_events = self._room_events
        return RoomStatistics(
            transcriptions_open=room_events.transcriptions.open if room_events else 0,
            transcriptions_abandoned=room_events.transcriptions.abandoned if room_events else 0,
            microphone_dropped=self._publications.dropped,
        )

    async def connect(self, access: RoomAccess, sink: RoomSink, media: MediaWriters) -> None:
        """Return when the room is joined; from then on report to `sink`, what is there first.

        Cancelled or failed, it leaves nothing attached and has left the room.

        Raises:
            RoomRefusedError: the server turned the token down.
            ConnectError: the server could not be reached, or did not answer.
            MisuseError: called twice.
            ClosedError: called after `aclose`.
        """
        if self._closed:
            raise ClosedError("the room")
        if self._used:
            raise MisuseError("a room is connected once: create another one")
        self._used = True
        room = self._borrowed or rtc.Room()
        room_events = RoomEvents(room, sink, media, self._tasks, self._pausing, self._publications)
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
        self._room, self._room_events, self._sink = room, room_events, sink
        self._room_name = room.name or access.room_name
        room_events.look()

    async def send(self, data: bytes, *, topic: str | None = None, to: Sequence[str] = ()) -> None:
        """Return when the transport took the packet (reliable, in order).

        Cancelled, it may or may not have been sent.

        Raises:
            BrokenError: the transport did not take it.
        """
        call = self._joined().local_participant.publish_data(
            data, reliable=True, destination_identities=list(to), topic=topic or ""
        )
        await _taken(call, "packet")

    async def send_text(self, text: str, *, topic: str, to: Sequence[str] = ()) -> None:
        """Send `text` as a LiveKit text stream.

        Raises:
            BrokenError: the transport did not take it.
        """
        participant = self._joined().local_participant
        call = participant.send_text(text, topic=topic, destination_identities=list(to))
        await _taken(call, "text")

    async def set_attributes(self, attributes: Mapping[str, str]) -> None:
        """Set attributes of the session's own participant; an empty one is removed.

        Raises:
            RefusedError: the token does not allow it.
            BrokenError: the transport did not take them.
        """
        participant = self._joined().local_participant
        # The SDK reports no refusal. Empty: the server does not send permissions.
        permissions = participant.permissions
        if permissions.ByteSize() and not permissions.can_update_metadata:
            raise RefusedError("attributes need a token with canUpdateOwnMetadata")
        self._attributes |= attributes.keys()
        await _taken(participant.set_attributes(dict(attributes)), "attributes")

    async def open_track(self, source: SourceName, frame: F) -> PublishedTrack[F]:
        """Publish a track of ours that takes frames like `frame`, which is not pushed.

        Args:
            source: what other participants see it as.
            frame: gives the sample rate and channels, or the size to begin with; a picture's
                `metadata` is sent along if this one has some.

        Raises:
            BrokenError: the room did not take the track.
        """
        return await self._publications.open(self._joined(), source, frame)

    async def aclose(self) -> None:
        """Take every handler off and leave the room, unless it was borrowed.

        Bounded in time, whatever the server does; further calls wait for the first.
        """
        if self._closed:
            await self._done.wait()
            return
        self._closed = True
        departure: RootTask | None = None
        try:
            if self._room_events is not None:
                self._room_events.close()
            await self._publications.aclose()
            await self._tasks.aclose(READER_SECONDS)
            if self._room_events is not None:
                await self._room_events.settled()
        finally:
            room = self._room
            self._room = self._room_events = self._sink = None
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
            raise BrokenError("the room is not joined (any more): connect again")
        return self._room

    def _on_disconnected(self, reason: int) -> None:
        self._loss = room_loss(reason)
        if self._borrowed is not None:
            self._loss = msgspec.structs.replace(self._loss, rejoin=False)
        if self._room_events is not None and self._sink is not None:
            self._room_events.end_media()
            self._sink.report(self._loss)


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
        self._joining: Joining | None = None

    async def aclose(self) -> None:
        """Leave the room and keep nothing of it; bounded in time, whatever the server does."""
        await super().aclose()
        if self._joining is not None:
            await self._joining.settled(LEAVE_SECONDS)

    async def _join(self, room: rtc.Room, access: RoomAccess) -> None:
        self._joining = Joining(room, access.url, access.token)
        await self._joining.run()


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
