"""What the server does periodically: reports, speakers, quality, lost clients, empty rooms."""

from __future__ import annotations

import asyncio
import itertools

from livekit.protocol import models, rtc

from livelayer_bus.clock import SystemClock

from .relay import SILENCE, SPEAKING
from .rooms import Room
from .session import ServerState

PERIOD = 0.5  # seconds between two rounds
QUALITY_ROUNDS = 10  # rounds between two connection quality updates
SPEAKING_STEP = 0.1  # change of level that is sent to clients


async def keep_house(server: ServerState) -> None:
    """Visit all rooms and sessions periodically, until it is cancelled."""
    clock = SystemClock()
    speakers: dict[str, dict[str, float]] = {}  # levels by participant, by room
    for count in itertools.count(1):
        await asyncio.sleep(PERIOD)
        now = clock.now()
        for session in list(server.sessions.values()):
            session.publishing.report()
            session.subscribing.refresh()
            session.check(now)
        server.registry.end_empty_rooms(now)
        rooms = server.registry.list_rooms()
        speakers = {room.sid: _send_speakers(server, room, speakers) for room in rooms}
        if count % QUALITY_ROUNDS == 0:
            for room in rooms:
                _send_quality(room)


def _send_speakers(
    server: ServerState, room: Room, speakers: dict[str, dict[str, float]]
) -> dict[str, float]:
    levels: dict[str, float] = {}
    for participant in room.participants.values():
        loudest = SILENCE
        for sid in participant.tracks:
            up_track = server.up_tracks.get(sid)
            if up_track is not None and up_track.kind == "audio":
                loudest = min(loudest, up_track.take_level())
        if loudest <= SPEAKING:
            levels[participant.sid] = 10 ** (-loudest / 20)
    before = speakers.get(room.sid, {})
    changed = [
        models.SpeakerInfo(sid=sid, level=level, active=True)
        for sid, level in levels.items()
        if abs(level - before.get(sid, 0.0)) >= SPEAKING_STEP or sid not in before
    ]
    changed += [models.SpeakerInfo(sid=sid, active=False) for sid in before if sid not in levels]
    if not changed:
        return before
    room.send_speakers(changed)
    return levels


def _send_quality(room: Room) -> None:
    # On loopback the connection is always excellent; simulated loss is not graded.
    message = rtc.SignalResponse(
        connection_quality=rtc.ConnectionQualityUpdate(
            updates=[
                rtc.ConnectionQualityInfo(
                    participant_sid=member.sid,
                    quality=models.ConnectionQuality.EXCELLENT,
                    score=4.5,
                )
                for member in room.participants.values()
                if member.active and not member.hidden
            ]
        )
    )
    for member in room.participants.values():
        if member.active:
            member.signal(message)
