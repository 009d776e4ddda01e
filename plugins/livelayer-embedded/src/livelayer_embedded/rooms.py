"""One room as plain state: its participants, what they publish, and who is notified of it.

No sockets, no HTTP, no media: a participant's live connection is its `ParticipantLink`.
Everything runs in one event loop and returns at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

from livekit.protocol import models, rtc
from livekit.protocol.room import RoomConfiguration

from livelayer_bus.clock import SystemClock

from .participant import Participant, Track

HELD_UPDATES = 256  # participant updates a fault may hold back

_CLOCK = SystemClock()


class RoomObserver(Protocol):
    """Notified of what happens in all rooms; agent dispatch is built on it."""

    def room_started(self, room: Room) -> None: ...

    def room_finished(self, room: Room) -> None: ...

    def participant_joined(self, room: Room, participant: Participant) -> None: ...

    def participant_left(self, room: Room, participant: Participant) -> None:
        """Also of one that was never active, so that it never joined."""

    def track_published(self, room: Room, track: Track) -> None: ...


class Room:
    """One room: its participants and what they publish."""

    def __init__(
        self,
        info: models.Room,
        config: RoomConfiguration | None,
        observers: Sequence[RoomObserver],
    ) -> None:
        self._observers = observers
        self._info = info
        self.config = config
        self.participants: dict[str, Participant] = {}
        self.closed = False
        self.held_updates: list[rtc.ParticipantUpdate] | None = None
        # The last state of each replaced participant, until its successor is active.
        self._replaced: dict[str, models.ParticipantInfo] = {}
        self.ends_at = _CLOCK.now() + info.empty_timeout
        """When it ends, on the machine's clock; never while somebody is in it."""

    @property
    def name(self) -> str:
        """The room's name."""
        return self._info.name

    @property
    def sid(self) -> str:
        """The `RM_` identifier."""
        return self._info.sid

    def info(self) -> models.Room:
        """A copy of its state with the counts of visible participants and publishers."""
        info = models.Room()
        info.CopyFrom(self._info)
        seen = [p for p in self.participants.values() if not p.hidden]
        info.num_participants = len(seen)
        info.num_publishers = sum(1 for p in seen if p.tracks)
        return info

    def add(self, participant: Participant) -> None:
        """Add a participant; others see it once it is active."""
        self.ends_at = math.inf
        self.participants[participant.identity] = participant

    def activate(self, participant: Participant) -> None:
        """Show a participant to the others and give it what they publish."""
        if participant.active:
            return
        participant.set_state(models.ParticipantInfo.ACTIVE)
        self._replaced.pop(participant.identity, None)
        self.announce(participant)
        self.notify_room_changed()
        for observer in self._observers:
            observer.participant_joined(self, participant)
        for other in self.others(participant):
            for track in other.tracks.values():
                self.offer_track(track, participant)
            for track in participant.tracks.values():
                self.offer_track(track, other)

    def remove(
        self, participant: Participant, reason: models.DisconnectReason, *, replaced: bool = False
    ) -> None:
        """Drop a participant and close its link; the room expires after its last one.

        The others are not notified of one that is replaced, unless its successor leaves before it
        is active: they see the successor, whose new sid means a reconnection to them.
        """
        if self.participants.get(participant.identity) is not participant:
            return
        del self.participants[participant.identity]
        was_active = participant.active
        for track in list(participant.tracks.values()):
            self.unpublish(track, announce=False)
        for info in list(participant.data_tracks.values()):
            self.unpublish_data_track(participant, info.pub_handle, announce=False)
        participant.set_state(models.ParticipantInfo.DISCONNECTED)
        last = participant.info()
        last.disconnect_reason = reason
        gone = last if was_active else self._replaced.pop(participant.identity, None)
        if gone is not None and replaced:
            self._replaced[participant.identity] = gone
        elif gone is not None and not gone.permission.hidden:
            self._send_update(rtc.ParticipantUpdate(participants=[gone]))
        link, participant.link = participant.link, None
        if link is not None:
            link.close(reason)
        for observer in self._observers:
            observer.participant_left(self, participant)
        if not self.participants and not self.closed:
            self.ends_at = _CLOCK.now() + self._info.departure_timeout
        self.notify_room_changed()

    def others(self, participant: Participant) -> list[Participant]:
        """All other active participants."""
        return [p for p in self.participants.values() if p is not participant and p.active]

    def visible_to(self, participant: Participant) -> list[models.ParticipantInfo]:
        """The others, as their clients show them."""
        return [p.info() for p in self.others(participant) if not p.hidden]

    def announce(self, participant: Participant) -> None:
        """Send a participant's full state to everyone, itself included, as newer than the last."""
        participant.touch()
        update = rtc.ParticipantUpdate(participants=[participant.info()])
        if participant.active and not participant.hidden:
            self._send_update(update)
        else:
            participant.signal(rtc.SignalResponse(update=update))

    def _send_update(self, update: rtc.ParticipantUpdate) -> None:
        if self.held_updates is not None and len(self.held_updates) < HELD_UPDATES:
            self.held_updates.append(update)
            return
        message = rtc.SignalResponse(update=update)
        for member in self.participants.values():
            member.signal(message)

    def release_updates(self) -> None:
        """Send the participant updates that were held back and stop holding back."""
        held, self.held_updates = self.held_updates, None
        for update in held or ():
            self._send_update(update)

    def publish(self, track: Track) -> None:
        """Publish a track and deliver it to all that subscribe automatically.

        The update about the publisher goes first: clients crash on tracks of unknown participants.
        """
        publisher = track.publisher
        self.release_updates()
        publisher.tracks[track.sid] = track
        publisher.set_publisher()
        self.announce(publisher)
        self.notify_room_changed()
        for observer in self._observers:
            observer.track_published(self, track)
        for other in self.others(publisher):
            self.offer_track(track, other)

    def offer_track(self, track: Track, to: Participant) -> None:
        """Subscribe a participant to a track if it subscribes automatically and is allowed to."""
        if to.auto_subscribe:
            self.subscribe(to, track)

    def may_receive(self, participant: Participant, track: Track) -> bool:
        """Whether its own permission and the publisher's allow it to receive the track.

        Nobody receives what a participant publishes before it is active: the others do not know it,
        and clients crash on tracks of unknown participants.
        """
        publisher = track.publisher
        allowed = publisher.open_to_all
        for name in (participant.identity, participant.sid):
            if name in publisher.receivers:
                tracks = publisher.receivers[name]
                allowed = allowed or tracks is None or track.sid in tracks
        if not publisher.active or publisher.hidden or participant is publisher:
            return False
        return allowed and participant.permission.can_subscribe

    def subscribe(self, participant: Participant, track: Track) -> bool:
        """Deliver a track to a participant; False if that is not allowed."""
        if not self.may_receive(participant, track):
            return False
        if participant.link is not None:
            participant.link.subscribe(track)
        return True

    def unpublish(self, track: Track, *, announce: bool = True) -> None:
        """Unpublish a track."""
        publisher = track.publisher
        publisher.tracks.pop(track.sid, None)
        if announce:
            self.announce(publisher)
        for other in self.participants.values():
            if other is not publisher and other.link is not None:
                other.link.unsubscribe(track.sid)

    def publish_data_track(self, publisher: Participant, info: models.DataTrackInfo) -> None:
        """Publish a data track."""
        publisher.data_tracks[info.pub_handle] = info
        self.announce(publisher)

    def unpublish_data_track(
        self, publisher: Participant, pub_handle: int, *, announce: bool = True
    ) -> models.DataTrackInfo | None:
        """Unpublish a data track; None if the handle is unknown."""
        info = publisher.data_tracks.pop(pub_handle, None)
        if info is None:
            return None
        if announce:
            self.announce(publisher)
        for other in self.participants.values():
            if other.link is not None:
                other.link.unsubscribe_data_track(info.sid)
        return info

    def find_track(self, track_sid: str) -> Track | None:
        """The track with this identifier, of any publisher."""
        for participant in self.participants.values():
            track = participant.tracks.get(track_sid)
            if track is not None:
                return track
        return None

    def find_data_track(self, sid: str) -> tuple[Participant, models.DataTrackInfo] | None:
        """The data track with this identifier, and its publisher."""
        for participant in self.participants.values():
            for info in participant.data_tracks.values():
                if info.sid == sid:
                    return participant, info
        return None

    def set_muted(self, track: Track, muted: bool) -> None:
        """Record a track's muted flag and notify everyone."""
        if track.info.muted == muted:
            return
        track.info.muted = muted
        self.announce(track.publisher)

    def send_speakers(self, speakers: Iterable[models.SpeakerInfo]) -> None:
        """Notify everyone of who started or stopped speaking."""
        message = rtc.SignalResponse(speakers_changed=rtc.SpeakersChanged(speakers=speakers))
        for member in self.participants.values():
            member.signal(message)

    def set_metadata(self, metadata: str) -> None:
        """Change the room's metadata and notify everyone."""
        self._info.metadata = metadata
        self.notify_room_changed()

    def notify_room_changed(self) -> None:
        """Send the room's state to everyone who is active."""
        message = rtc.SignalResponse(room_update=rtc.RoomUpdate(room=self.info()))
        for member in self.participants.values():
            if member.active:
                member.signal(message)

    def send_data(
        self,
        packet: models.DataPacket,
        *,
        reliable: bool,
        identities: Iterable[str] = (),
        sids: Iterable[str] = (),
        exclude: Participant | None = None,
    ) -> None:
        """Deliver a packet to the named participants, or to all but `exclude` if none is named."""
        to_identities, to_sids = set(identities), set(sids)
        everyone = not to_identities and not to_sids
        encoded = packet.SerializeToString()
        for member in self.participants.values():
            if member is exclude or member.link is None:
                continue
            if everyone or member.identity in to_identities or member.sid in to_sids:
                member.link.send_packet(encoded, reliable=reliable)

    def close(self, reason: models.DisconnectReason) -> None:
        """Remove all participants and end the room."""
        self.closed = True
        for participant in list(self.participants.values()):
            self.remove(participant, reason)
