"""Data between participants: packets stamped and routed, data tracks relayed by handle."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from .faults import Faults
from .participant import Participant, new_sid
from .rooms import Room
from .transport import PeerTransport

RELIABLE = "_reliable"
LOSSY = "_lossy"
DATA_TRACK = "_data_track"

_SERVER_ONLY = ("speaker",)


class DataRouter:
    """One participant's outgoing data packets."""

    def __init__(self, room: Room, participant: Participant, faults: Faults) -> None:
        self._room = room
        self._participant = participant
        self._faults = faults
        self.last_sequence = 0
        self.malformed = 0
        self.not_allowed = 0

    def received(self, label: str, data: bytes) -> None:
        """Deliver a packet that came on `_reliable` or `_lossy`."""
        try:
            packet = models.DataPacket.FromString(data)
        except DecodeError:
            self.malformed += 1
            return
        reliable = label == RELIABLE
        kind = packet.WhichOneof("value")
        if not self._participant.permission.can_publish_data or kind in _SERVER_ONLY:
            self.not_allowed += 1
            return
        if reliable and packet.sequence:
            if packet.sequence <= self.last_sequence:
                return
            self.last_sequence = packet.sequence
        if kind == "stream_trailer" and not self._faults.takes_trailer():
            return
        self._deliver(packet, reliable)
        self._faults.data_delivered(self._room)

    def _deliver(self, packet: models.DataPacket, reliable: bool) -> None:
        sender = self._participant
        identities = list(packet.destination_identities)
        sids: list[str] = []
        packet.kind = models.DataPacket.RELIABLE if reliable else models.DataPacket.LOSSY
        # An agent may send for another participant: that is how it sends a user's transcript.
        speaks_for = packet.participant_identity if sender.is_agent else ""
        if not sender.hidden and speaks_for in ("", sender.identity):
            packet.participant_identity = sender.identity
            packet.participant_sid = sender.sid
        if packet.HasField("user"):
            if not sender.hidden:
                packet.user.participant_identity = sender.identity
                packet.user.participant_sid = sender.sid
            identities += packet.user.destination_identities
            sids += packet.user.destination_sids
        self._room.send_data(
            packet, reliable=reliable, identities=identities, sids=sids, exclude=sender
        )


class DataTracks:
    """One participant's data tracks, published and received."""

    def __init__(
        self,
        room: Room,
        participant: Participant,
        subscriber: PeerTransport,
        peers: dict[str, DataTracks],
    ) -> None:
        self._room = room
        self._participant = participant
        self._subscriber = subscriber
        self._peers = peers
        self._handles: dict[str, tuple[int, str]] = {}  # handle and publisher's identity, by sid
        self._next = 1

    def publish(self, request: rtc.PublishDataTrackRequest) -> None:
        """Answer a request to publish a data track."""
        problem = self._problem(request)
        if problem is not None:
            self._participant.signal(
                rtc.SignalResponse(
                    request_response=rtc.RequestResponse(reason=problem, publish_data_track=request)
                )
            )
            return
        info = models.DataTrackInfo(
            pub_handle=request.pub_handle,
            sid=new_sid("DTR_"),
            name=request.name,
            encryption=request.encryption,
        )
        if request.HasField("frame_encoding"):
            info.frame_encoding.CopyFrom(request.frame_encoding)
        if request.HasField("schema"):
            info.schema.CopyFrom(request.schema)
        self._room.publish_data_track(self._participant, info)
        self._participant.signal(
            rtc.SignalResponse(publish_data_track_response=rtc.PublishDataTrackResponse(info=info))
        )

    def _problem(self, request: rtc.PublishDataTrackRequest) -> rtc.RequestResponse.Reason | None:
        published = self._participant.data_tracks
        if not self._participant.permission.can_publish_data:
            return rtc.RequestResponse.NOT_ALLOWED
        if not 0 < request.pub_handle < 65536:
            return rtc.RequestResponse.INVALID_HANDLE
        if request.pub_handle in published:
            return rtc.RequestResponse.DUPLICATE_HANDLE
        if not request.name or len(request.name) > 256:
            return rtc.RequestResponse.INVALID_NAME
        if any(info.name == request.name for info in published.values()):
            return rtc.RequestResponse.DUPLICATE_NAME
        return None

    def unpublish(self, pub_handle: int) -> None:
        """Unpublish a data track."""
        info = self._room.unpublish_data_track(self._participant, pub_handle)
        if info is not None:
            self._participant.signal(
                rtc.SignalResponse(
                    unpublish_data_track_response=rtc.UnpublishDataTrackResponse(info=info)
                )
            )

    def update(self, request: rtc.UpdateDataSubscription) -> None:
        """Subscribe to and unsubscribe from data tracks as the client asks."""
        for item in request.updates:
            found = self._room.find_data_track(item.track_sid)
            if item.subscribe and found is not None:
                self._subscribe(*found)
            else:
                self._handles.pop(item.track_sid, None)
        self._send_handles()

    def forget(self, sid: str) -> None:
        """Forget a data track that was unpublished."""
        if self._handles.pop(sid, None) is not None:
            self._send_handles()

    def received(self, data: bytes) -> None:
        """Relay a packet of a published data track to its subscribers."""
        if len(data) < 12:
            return
        info = self._participant.data_tracks.get(int.from_bytes(data[2:4], "big"))
        if info is None:
            return
        for peer in self._peers.values():
            peer.deliver(info.sid, data)

    def deliver(self, sid: str, data: bytes) -> None:
        """Send a packet on under this subscriber's own handle, if it subscribed."""
        if sid in self._handles:
            handle = self._handles[sid][0].to_bytes(2, "big")
            self._subscriber.send_message(DATA_TRACK, data[:2] + handle + data[4:], lossy=True)

    def _subscribe(self, publisher: Participant, info: models.DataTrackInfo) -> None:
        if info.sid in self._handles or not self._participant.permission.can_subscribe:
            return
        self._handles[info.sid] = (self._next, publisher.identity)
        self._next = self._next % 65535 + 1

    def _send_handles(self) -> None:
        message = rtc.DataTrackSubscriberHandles()
        for sid, (handle, identity) in self._handles.items():
            publisher = self._room.participants.get(identity)
            entry = message.sub_handles[handle]
            entry.track_sid = sid
            entry.publisher_identity = identity
            entry.publisher_sid = publisher.sid if publisher is not None else ""
        self._participant.signal(rtc.SignalResponse(data_track_subscriber_handles=message))
