"""The rooms as plain state: no sockets, no media."""

from __future__ import annotations

import pytest
from livekit.protocol.models import (
    DataPacket,
    DisconnectReason,
    ParticipantInfo,
    ParticipantPermission,
    TrackInfo,
)
from livekit.protocol.rtc import SignalResponse
from livelayer_embedded.errors import ServerRequestError
from livelayer_embedded.participant import Participant, Track, new_sid
from livelayer_embedded.registry import RoomRegistry
from livelayer_embedded.rooms import Room

from livelayer_bus.clock import SystemClock


class Link:
    """A connection that records what it is asked to do."""

    def __init__(self) -> None:
        self.signals: list[SignalResponse] = []
        self.packets: list[tuple[DataPacket, bool]] = []
        self.subscribed: list[str] = []
        self.closed: DisconnectReason | None = None
        self.revoked = False

    def send_signal(self, message: SignalResponse) -> None:
        self.signals.append(message)

    def send_packet(self, packet: bytes, *, reliable: bool) -> None:
        self.packets.append((DataPacket.FromString(packet), reliable))

    def subscribe(self, track: Track) -> None:
        self.subscribed.append(track.sid)

    def unsubscribe(self, track_sid: str) -> None:
        if track_sid in self.subscribed:
            self.subscribed.remove(track_sid)

    def unsubscribe_data_track(self, sid: str) -> None:
        del sid

    def permission_changed(self) -> None:
        self.revoked = True

    def close(self, reason: DisconnectReason) -> None:
        self.closed = reason

    def updates(self) -> list[ParticipantInfo]:
        return [p for m in self.signals if m.HasField("update") for p in m.update.participants]


def everything() -> ParticipantPermission:
    return ParticipantPermission(can_subscribe=True, can_publish=True, can_publish_data=True)


@pytest.fixture
def registry() -> RoomRegistry:
    return RoomRegistry()


def enter(room: Room, identity: str) -> tuple[Participant, Link]:
    info = ParticipantInfo(sid=new_sid("PA_"), identity=identity, permission=everything())
    participant, link = Participant(info), Link()
    participant.link = link
    room.add(participant)
    room.activate(participant)
    return participant, link


def publish(room: Room, publisher: Participant) -> Track:
    track = Track(publisher, TrackInfo(sid=new_sid("TR_")), "cid")
    room.publish(track)
    return track


def test_a_room_ends_when_it_stays_empty(registry: RoomRegistry) -> None:
    clock = SystemClock()
    before = clock.now()
    room = registry.create_room("r", empty_timeout=7, departure_timeout=3)
    assert before + 7 <= room.ends_at <= clock.now() + 7
    registry.end_empty_rooms(before + 6.9)
    alice, _ = enter(room, "alice")
    registry.end_empty_rooms(before + 10_000)
    before = clock.now()
    room.remove(alice, DisconnectReason.CLIENT_INITIATED)
    registry.end_empty_rooms(before + 2.9)
    assert registry.get_room("r") is room
    registry.end_empty_rooms(clock.now() + 3)
    with pytest.raises(ServerRequestError, match="no room 'r'"):
        registry.get_room("r")


def test_the_update_comes_before_the_track_is_offered(registry: RoomRegistry) -> None:
    room = registry.create_room("r")
    alice, _ = enter(room, "alice")
    _, bob = enter(room, "bob")
    order: list[str] = []
    bob.send_signal = lambda message: order.append(message.WhichOneof("message") or "")  # type: ignore[method-assign]  # notes the order of two calls
    bob.subscribe = lambda track: order.append("subscribe")  # type: ignore[method-assign]  # as above
    publish(room, alice)
    assert order.index("update") < order.index("subscribe")


def test_versions_grow_with_every_change(registry: RoomRegistry) -> None:
    room = registry.create_room("r")
    alice, _ = enter(room, "alice")
    _, bob = enter(room, "bob")
    track = publish(room, alice)
    registry.mute_track("r", "alice", track.sid, muted=True)
    registry.update_participant("r", "alice", attributes={"a": "1", "b": "2"})
    registry.update_participant("r", "alice", attributes={"a": ""}, name="A")
    versions = [info.version for info in bob.updates() if info.identity == "alice"]
    assert versions == sorted(set(versions))
    assert dict(alice.info().attributes) == {"b": "2"}
    assert alice.info().tracks[0].muted


def test_tracks_published_before_being_seen_are_offered_afterwards(registry: RoomRegistry) -> None:
    room = registry.create_room("r")
    _, bob = enter(room, "bob")
    info = ParticipantInfo(sid="PA_x", identity="alice", permission=everything())
    alice = Participant(info)
    room.add(alice)
    track = publish(room, alice)
    assert bob.subscribed == []
    room.activate(alice)
    assert bob.subscribed == [track.sid]
    assert "alice" in [info.identity for info in bob.updates()]


def test_data_goes_to_those_named_or_to_all_others(registry: RoomRegistry) -> None:
    room = registry.create_room("r")
    alice, at_alice = enter(room, "alice")
    _, at_bob = enter(room, "bob")
    _, at_carol = enter(room, "carol")
    room.send_data(DataPacket(), reliable=True, exclude=alice)
    room.send_data(DataPacket(), reliable=False, identities=["bob", "nobody"], exclude=alice)
    assert [len(link.packets) for link in (at_alice, at_bob, at_carol)] == [0, 2, 1]
    assert [reliable for _, reliable in at_bob.packets] == [True, False]


def test_taking_permissions_away_takes_effect_at_once(registry: RoomRegistry) -> None:
    room = registry.create_room("r")
    alice, at_alice = enter(room, "alice")
    _, at_bob = enter(room, "bob")
    track = publish(room, alice)
    assert at_bob.subscribed == [track.sid]
    registry.update_participant("r", "bob", permission=ParticipantPermission(can_publish=True))
    assert at_bob.subscribed == []
    registry.update_participant("r", "bob", permission=everything())
    assert at_bob.subscribed == [track.sid]
    registry.update_participant("r", "alice", permission=ParticipantPermission())
    assert at_alice.revoked


def test_leaving_is_final_and_announced_once(registry: RoomRegistry) -> None:
    room = registry.create_room("r")
    alice, at_alice = enter(room, "alice")
    _, at_bob = enter(room, "bob")
    track = publish(room, alice)
    registry.remove_participant("r", "alice")
    room.remove(alice, DisconnectReason.CLIENT_INITIATED)
    assert at_alice.closed == DisconnectReason.PARTICIPANT_REMOVED
    assert track.sid not in at_bob.subscribed
    gone = [i for i in at_bob.updates() if i.state == ParticipantInfo.DISCONNECTED]
    assert [info.disconnect_reason for info in gone] == [DisconnectReason.PARTICIPANT_REMOVED]
    with pytest.raises(ServerRequestError) as caught:
        registry.get_participant("r", "alice")
    assert caught.value.code == "not_found"


def test_the_others_see_a_successor_instead_of_a_departure(registry: RoomRegistry) -> None:
    room = registry.create_room("r")
    old, _ = enter(room, "alice")
    _, at_bob = enter(room, "bob")
    room.remove(old, DisconnectReason.DUPLICATE_IDENTITY, replaced=True)
    new, _ = enter(room, "alice")
    states = [(info.sid, info.state) for info in at_bob.updates() if info.identity == "alice"]
    assert states[-1] == (new.sid, ParticipantInfo.ACTIVE)
    assert (old.sid, ParticipantInfo.DISCONNECTED) not in states


def test_a_successor_that_fails_to_join_ends_its_predecessor(registry: RoomRegistry) -> None:
    room = registry.create_room("r")
    old, _ = enter(room, "alice")
    _, at_bob = enter(room, "bob")
    room.remove(old, DisconnectReason.DUPLICATE_IDENTITY, replaced=True)
    for _ in range(2):
        failed = Participant(ParticipantInfo(sid="PA_failed", identity="alice"))
        room.add(failed)
        room.remove(failed, DisconnectReason.JOIN_FAILURE)
    gone = [(info.sid, info.state) for info in at_bob.updates() if info.state == info.DISCONNECTED]
    assert gone == [(old.sid, ParticipantInfo.DISCONNECTED)]
