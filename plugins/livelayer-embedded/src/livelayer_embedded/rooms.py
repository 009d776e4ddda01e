"""All rooms of one server as plain state, and the operations that the server APIs offer on them.

No sockets, no HTTP, no media: a participant's live connection is its `ParticipantLink`.
Everything runs in one event loop and returns at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Protocol

from livekit.protocol import models, rtc
from livekit.protocol.room import RoomConfiguration

from .errors import ServerRequestError
from .participant import CallLater, Participant, TimerHandle, Track, new_sid

EMPTY_TIMEOUT = 300  # seconds an empty room lives before its first participant joins
DEPARTURE_TIMEOUT = 20  # seconds a room lives after its last participant left
HELD_UPDATES = 256  # participant updates a fault may hold back


class RoomObserver(Protocol):
    """Notified of what happens in all rooms; agent dispatch is built on it."""

    def room_started(self, room: Room) -> None: ...

    def room_finished(self, room: Room) -> None: ...

    def participant_joined(self, room: Room, participant: Participant) -> None: ...

    def participant_left(self, room: Room, participant: Participant) -> None: ...

    def track_published(self, room: Room, track: Track) -> None: ...


class Room:
    """One room: its participants and what they publish."""

    def __init__(
        self, registry: RoomRegistry, info: models.Room, config: RoomConfiguration | None
    ) -> None:
        self._registry = registry
        self._info = info
        self.config = config
        self.participants: dict[str, Participant] = {}
        self.closed = False
        self.held_updates: list[rtc.ParticipantUpdate] | None = None
        # The last state of each replaced participant, until its successor is active.
        self._replaced: dict[str, models.ParticipantInfo] = {}
        self._timer: TimerHandle | None = None
        self._expire_after(info.empty_timeout)

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
        self._stop_timer()
        self.participants[participant.identity] = participant

    def activate(self, participant: Participant) -> None:
        """Show a participant to the others and give it what they publish."""
        if participant.active:
            return
        participant.set_state(models.ParticipantInfo.ACTIVE)
        self._replaced.pop(participant.identity, None)
        self.announce(participant)
        self.notify_room_changed()
        for observer in self._registry.observers:
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
        if was_active:
            for observer in self._registry.observers:
                observer.participant_left(self, participant)
        if not self.participants and not self.closed:
            self._expire_after(self._info.departure_timeout)
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
        for observer in self._registry.observers:
            observer.track_published(self, track)
        if publisher.active:
            for other in self.others(publisher):
                self.offer_track(track, other)

    def offer_track(self, track: Track, to: Participant) -> None:
        """Subscribe a participant to a track if it subscribes automatically and is allowed to."""
        if to.auto_subscribe:
            self.subscribe(to, track)

    def may_receive(self, participant: Participant, track: Track) -> bool:
        """Whether its own permission and the publisher's allow it to receive the track."""
        publisher = track.publisher
        allowed = publisher.open_to_all
        for name in (participant.identity, participant.sid):
            if name in publisher.receivers:
                tracks = publisher.receivers[name]
                allowed = allowed or tracks is None or track.sid in tracks
        if publisher.hidden or participant is publisher:
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
        self._stop_timer()
        for participant in list(self.participants.values()):
            self.remove(participant, reason)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire_after(self, seconds: float) -> None:
        self._timer = self._registry.call_later(seconds, lambda: self._registry.expire(self))


class RoomRegistry:
    """All rooms of one server, and the operations the server APIs offer on them.

    Operations on an unknown room, participant or track raise `ServerRequestError` with the code
    "not_found".
    """

    def __init__(self, call_later: CallLater) -> None:
        self.call_later = call_later
        self._rooms: dict[str, Room] = {}
        self.observers: list[RoomObserver] = []

    def create_room(
        self,
        name: str,
        *,
        empty_timeout: int = 0,
        departure_timeout: int = 0,
        max_participants: int = 0,
        metadata: str = "",
        config: RoomConfiguration | None = None,
    ) -> Room:
        """The room of this name, created if needed; timeouts are in seconds, 0 is the default."""
        room = self._rooms.get(name)
        if room is not None:
            if metadata:
                room.set_metadata(metadata)
            return room
        if not name:
            raise ServerRequestError("invalid_argument", "a room needs a name")
        now_ms = time.time_ns() // 1_000_000
        info = models.Room(
            sid=new_sid("RM_"),
            name=name,
            empty_timeout=empty_timeout or (config.empty_timeout if config else 0) or EMPTY_TIMEOUT,
            departure_timeout=departure_timeout
            or (config.departure_timeout if config else 0)
            or DEPARTURE_TIMEOUT,
            max_participants=max_participants or (config.max_participants if config else 0),
            metadata=metadata or (config.metadata if config else ""),
            creation_time=now_ms // 1000,
            creation_time_ms=now_ms,
        )
        room = Room(self, info, config)
        self._rooms[name] = room
        for observer in self.observers:
            observer.room_started(room)
        return room

    def get_room(self, name: str) -> Room:
        """The room of this name."""
        room = self._rooms.get(name)
        if room is None:
            raise ServerRequestError("not_found", f"no room {name!r}")
        return room

    def list_rooms(self, names: Iterable[str] = ()) -> list[Room]:
        """All rooms, or those of the given names."""
        wanted = set(names)
        return [room for room in self._rooms.values() if not wanted or room.name in wanted]

    def delete_room(self, name: str) -> None:
        """End a room; its participants are disconnected with ROOM_DELETED."""
        self._finish(self.get_room(name), models.DisconnectReason.ROOM_DELETED)

    def expire(self, room: Room) -> None:
        """End a room that stayed empty for its timeout."""
        if not room.participants and self._rooms.get(room.name) is room:
            self._finish(room, models.DisconnectReason.ROOM_CLOSED)

    def close(self) -> None:
        """End all rooms because the server stops."""
        for room in list(self._rooms.values()):
            self._finish(room, models.DisconnectReason.SERVER_SHUTDOWN)

    def _finish(self, room: Room, reason: models.DisconnectReason) -> None:
        self._rooms.pop(room.name, None)
        room.close(reason)
        for observer in self.observers:
            observer.room_finished(room)

    def get_participant(self, room: str, identity: str) -> Participant:
        """A participant by its room's name and its identity."""
        participant = self.get_room(room).participants.get(identity)
        if participant is None:
            raise ServerRequestError("not_found", f"no participant {identity!r} in room {room!r}")
        return participant

    def remove_participant(self, room: str, identity: str) -> None:
        """Remove a participant from its room."""
        participant = self.get_participant(room, identity)
        self.get_room(room).remove(participant, models.DisconnectReason.PARTICIPANT_REMOVED)

    def mute_track(self, room: str, identity: str, track_sid: str, muted: bool) -> models.TrackInfo:
        """Mute a track at its publisher; its new state."""
        participant = self.get_participant(room, identity)
        track = participant.tracks.get(track_sid)
        if track is None:
            raise ServerRequestError("not_found", f"no track {track_sid!r} of {identity!r}")
        participant.signal(
            rtc.SignalResponse(mute=rtc.MuteTrackRequest(sid=track_sid, muted=muted))
        )
        self.get_room(room).set_muted(track, muted)
        return track.info

    def update_participant(
        self,
        room: str,
        identity: str,
        *,
        metadata: str | None = None,
        name: str | None = None,
        attributes: Mapping[str, str] | None = None,
        permission: models.ParticipantPermission | None = None,
    ) -> models.ParticipantInfo:
        """Change what is given and notify everyone; returns the new state."""
        participant = self.get_participant(room, identity)
        before = models.ParticipantPermission()
        before.CopyFrom(participant.permission)
        participant.apply(
            metadata=metadata, name=name, attributes=attributes, permission=permission
        )
        found = self.get_room(room)
        found.announce(participant)
        if permission is not None and participant.link is not None:
            participant.link.permission_changed()
            for other in found.others(participant):
                for track in other.tracks.values():
                    if before.can_subscribe and not permission.can_subscribe:
                        participant.link.unsubscribe(track.sid)
                    elif permission.can_subscribe and not before.can_subscribe:
                        found.offer_track(track, participant)
        return participant.info()

    def update_subscriptions(
        self, room: str, identity: str, track_sids: Iterable[str], subscribe: bool
    ) -> None:
        """Deliver tracks to a participant, or stop delivering them."""
        participant, found = self.get_participant(room, identity), self.get_room(room)
        for sid in track_sids:
            track = found.find_track(sid)
            if track is None:
                raise ServerRequestError("not_found", f"no track {sid!r} in room {room!r}")
            if subscribe:
                found.subscribe(participant, track)
            elif participant.link is not None:
                participant.link.unsubscribe(sid)

    def update_room_metadata(self, room: str, metadata: str) -> models.Room:
        """Change a room's metadata and notify everyone; its new state."""
        found = self.get_room(room)
        found.set_metadata(metadata)
        return found.info()

    def send_data(
        self,
        room: str,
        data: bytes,
        *,
        reliable: bool = True,
        topic: str | None = None,
        destination_identities: Iterable[str] = (),
        destination_sids: Iterable[str] = (),
    ) -> None:
        """Deliver a user data message that comes from the server, not from a participant."""
        packet = models.DataPacket(
            user=models.UserPacket(payload=data),
            kind=models.DataPacket.RELIABLE if reliable else models.DataPacket.LOSSY,
        )
        if topic is not None:
            packet.user.topic = topic
        self.get_room(room).send_data(
            packet,
            reliable=reliable,
            identities=destination_identities,
            sids=destination_sids,
        )
