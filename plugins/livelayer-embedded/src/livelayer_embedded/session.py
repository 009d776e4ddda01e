"""One participant's live connection: its peer connections, and a socket that may be replaced."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from livekit.protocol import models, rtc

from livelayer_bus.clock import SystemClock

from .aiortc_private import Certificate
from .answering_subscriber import AnsweringSubscriber
from .auth import Access, TokenAuthority
from .data import DATA_TRACK, LOSSY, RELIABLE, DataRouter, DataTracks
from .faults import Faults
from .offering_subscriber import OfferingSubscriber
from .participant import Participant, Track, leave_message
from .publisher import Publisher
from .registry import RoomRegistry
from .relay import Loss, UpTrack
from .rooms import Room
from .signal_socket import SignalSocket
from .subscriber import Subscriber
from .transport import PeerTransport

logger = logging.getLogger(__name__)

SILENT_AFTER = 7.0  # seconds without a datagram after which a client without a socket is removed
GONE_AFTER = 1.0  # seconds after which a client that closed its connections is removed
RESUME_WINDOW = 40.0  # seconds a client may stay away from its socket
EARLY_PACKETS = 512  # reliable packets kept for a client whose channel is not open yet
TOKEN_REFRESH = 300.0  # seconds between two tokens for one client
JOIN_WINDOW = 20.0  # seconds a joined client has to bring its connections up

_CLOCK = SystemClock()


class ServerState:
    """What all sessions of one server share."""

    def __init__(
        self,
        authority: TokenAuthority,
        certificate: Certificate,
        spawn: Callable[[Coroutine[Any, Any, object]], None],
    ) -> None:
        self.authority = authority
        self.certificate = certificate
        self.spawn = spawn
        self.call_later = asyncio.get_running_loop().call_later
        self.registry = RoomRegistry()
        self.up_tracks: dict[str, UpTrack] = {}
        self.sessions: dict[str, Session] = {}  # by the participant's sid
        self.data_tracks: dict[str, dict[str, DataTracks]] = {}
        self.faults = Faults(self.registry, self.sessions, self.call_later)


class Session:
    """The live connection of one participant; survives its signalling socket.

    The client receives on the connection on which it publishes (`single`), or on another one.
    """

    def __init__(
        self,
        server: ServerState,
        room: Room,
        participant: Participant,
        access: Access,
        *,
        single: bool,
    ) -> None:
        self.server = server
        self.room = room
        self.participant = participant
        self._access = access
        self._token_sent = 0.0
        self._signal: SignalSocket | None = None
        self._since = _CLOCK.now()
        self.closed = False  # for good
        name = participant.sid
        self._publisher = PeerTransport(server.certificate, f"{name} publisher")
        self._subscriber = self._publisher
        if not single:
            self._subscriber = PeerTransport(server.certificate, f"{name} subscriber")
        self.single = single
        self.publishing = Publisher(
            room, participant, self._publisher, server.up_tracks, server.call_later
        )
        self.subscribing: Subscriber
        if single:
            call_later = server.call_later
            self.subscribing = AnsweringSubscriber(participant, self._publisher, call_later)
        else:
            self.subscribing = OfferingSubscriber(participant, self._subscriber)
        self.data = DataRouter(room, participant, server.faults)
        peers = server.data_tracks.setdefault(room.sid, {})
        self.data_tracks = DataTracks(room, participant, self._subscriber, peers)
        peers[name] = self.data_tracks
        self._publisher.on_message = self._message_received
        self._publisher.on_closed = self._connection_closed
        self._subscriber.on_closed = self._connection_closed
        self._subscriber.on_open = self._channel_opened
        self.lost = False  # its media connections ended, so that it cannot be resumed
        self._early: list[bytes] = []
        self.dropped_early = 0
        self.malformed = 0

    async def open(self) -> None:
        """Bind the sockets, and open the data channels unless the client does that."""
        await self._publisher.ice.open()
        if not self.single:
            await self._subscriber.ice.open()
        if self.closed:
            return  # replaced or removed while it was opening
        if not self.single:
            self._subscriber.open_channel(RELIABLE, ordered=True, retransmits=None)
            self._subscriber.open_channel(LOSSY, ordered=False, retransmits=0)
            self._subscriber.open_channel(DATA_TRACK, ordered=False, retransmits=0)
        self.server.sessions[self.participant.sid] = self

    def attach(self, signal: SignalSocket) -> None:
        """Use this socket from now on; one that is still there is cut."""
        old, self._signal = self._signal, signal
        if old is not None:
            old.abort()

    def detach(self, signal: SignalSocket) -> None:
        """Detach a socket that ended; the client may resume within `RESUME_WINDOW`."""
        if self._signal is signal:
            self._signal = None
            self._since = _CLOCK.now()

    def leave(self, reason: models.DisconnectReason) -> None:
        """Handle the client's leave request."""
        self.room.remove(self.participant, reason)

    def report_malformed(self, what: str) -> None:
        """Count a message that cannot be read; the first one is logged."""
        self.malformed += 1
        if self.malformed == 1:
            logger.warning("%s sent a malformed %s", self.participant.sid, what)

    def refresh_token(self) -> None:
        """Send the client a token to reconnect with: its own may expire during the session."""
        self._token_sent = _CLOCK.now()
        token = self.server.authority.renew(self._access, self.participant.info())
        self.send_signal(rtc.SignalResponse(refresh_token=token))

    def check(self, now: float) -> None:
        """Remove the participant if its client disappeared without leaving."""
        if self.closed:
            return
        if now - self._token_sent > TOKEN_REFRESH:
            self.refresh_token()
        heard = max(self._publisher.ice.last_heard, self._subscriber.ice.last_heard)
        away = now - self._since
        if self._signal is None:
            silent = self.lost or now - max(heard, self._since) > SILENT_AFTER
            if (silent and away > GONE_AFTER) or away > RESUME_WINDOW:
                self.room.remove(self.participant, models.DisconnectReason.SIGNAL_CLOSE)
        elif not self.participant.active and away > JOIN_WINDOW:
            self.room.remove(self.participant, models.DisconnectReason.JOIN_FAILURE)

    # What the model asks of it (ParticipantLink).

    def send_signal(self, message: rtc.SignalResponse) -> None:
        if self._signal is not None:
            self._signal.send(message)

    def send_packet(self, packet: bytes, *, reliable: bool) -> None:
        if not self.participant.active:
            # A client counts as connected a moment before its channel is open here.
            if reliable and len(self._early) < EARLY_PACKETS:
                self._early.append(packet)
            else:
                self.dropped_early += 1
            return
        self._subscriber.send_message(RELIABLE if reliable else LOSSY, packet, lossy=not reliable)

    def subscribe(self, track: Track) -> None:
        up_track = self.server.up_tracks.get(track.sid)
        if up_track is not None and not self.closed:
            self.subscribing.subscribe(up_track)

    def unsubscribe(self, track_sid: str) -> None:
        self.subscribing.unsubscribe(track_sid)

    def unsubscribe_data_track(self, sid: str) -> None:
        self.data_tracks.forget(sid)

    def permission_changed(self) -> None:
        self.publishing.permission_changed()
        if not self.participant.permission.can_publish_data:
            for handle in list(self.participant.data_tracks):
                self.data_tracks.unpublish(handle)
        self.refresh_token()

    def close(self, reason: models.DisconnectReason) -> None:
        if self.closed:
            return
        self.closed = True
        self.server.sessions.pop(self.participant.sid, None)
        self.server.data_tracks.get(self.room.sid, {}).pop(self.participant.sid, None)
        if not self.room.participants:
            self.server.data_tracks.pop(self.room.sid, None)
        self.publishing.close()
        self.subscribing.close()
        signal, self._signal = self._signal, None
        if signal is not None:
            signal.send(leave_message(reason, rtc.LeaveRequest.DISCONNECT))
        self.server.spawn(self._finish(signal))

    async def _finish(self, signal: SignalSocket | None) -> None:
        # The leave message goes first: a client whose connections end before it reads the reason
        # would try to resume.
        if signal is not None:
            await signal.aclose()
        await self._publisher.aclose()
        await self._subscriber.aclose()

    # Faults (FaultyConnection).

    def drop_socket(self) -> None:
        if self._signal is not None:
            self._signal.abort()

    def vanish(self) -> None:
        self.drop_socket()
        self.lost = True
        self._publisher.ice.close()
        self._subscriber.ice.close()

    def set_loss(self, loss: Loss | None) -> None:
        self.subscribing.set_loss(loss)

    def set_delay(self, seconds: float) -> None:
        self._publisher.ice.delay = seconds
        self._subscriber.ice.delay = seconds

    # Events of the connections.

    def _message_received(self, label: str, data: bytes) -> None:
        if self.closed:
            return
        if label in (RELIABLE, LOSSY):
            self.data.received(label, data)
        elif label == DATA_TRACK:
            self.data_tracks.received(data)

    def _channel_opened(self, label: str) -> None:
        if label != RELIABLE or self.closed:
            return
        self.room.activate(self.participant)
        early, self._early = self._early, []
        for packet in early:
            self.send_packet(packet, reliable=True)

    def _connection_closed(self) -> None:
        self.lost = True
