"""All rooms of one server, and the operations that the server APIs offer on them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from livekit.protocol import models, rtc
from livekit.protocol.room import RoomConfiguration

from .errors import ServerRequestError
from .participant import Participant, new_sid
from .rooms import Room, RoomObserver

EMPTY_TIMEOUT = 300  # seconds an empty room lives before its first participant joins
DEPARTURE_TIMEOUT = 20  # seconds a room lives after its last participant left


class RoomRegistry:
    """All rooms of one server, and the operations the server APIs offer on them.

    Operations on an unknown room, participant or track raise `ServerRequestError` with the code
    "not_found".
    """

    def __init__(self) -> None:
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
        room = Room(info, config, self.observers)
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

    def end_empty_rooms(self, now: float) -> None:
        """End the rooms that have been empty for too long."""
        for room in self.list_rooms():
            if room.ends_at <= now:
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
