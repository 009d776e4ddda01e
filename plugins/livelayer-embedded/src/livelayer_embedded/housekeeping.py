"""What the server does periodically: reports to publishers, speakers, quality, lost clients."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from livekit.protocol import models, rtc

from .rooms import Room
from .session import ServerState
from .up_track import SILENCE, SPEAKING

logger = logging.getLogger(__name__)

PERIOD = 0.5  # seconds between two rounds
QUALITY_ROUNDS = 10  # rounds between two connection quality updates
SPEAKING_STEP = 0.1  # change of level that is sent to clients


class Housekeeping:
    """One task that visits all rooms and sessions periodically."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._task: asyncio.Task[None] | None = None
        self._speakers: dict[str, dict[str, float]] = {}
        self._round = 0

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name="livelayer embedded housekeeping"
        )

    async def aclose(self) -> None:
        """End the task."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(PERIOD)
            self._round += 1
            now = loop.time()
            for session in list(self._server.sessions.values()):
                session.publishing.report()
                session.subscribing.refresh()
                session.check(now)
            for room in self._server.registry.list_rooms():
                self._send_speakers(room)
                if self._round % QUALITY_ROUNDS == 0:
                    _send_quality(room)
            rooms = {room.sid for room in self._server.registry.list_rooms()}
            for sid in [sid for sid in self._speakers if sid not in rooms]:
                del self._speakers[sid]

    def _send_speakers(self, room: Room) -> None:
        levels: dict[str, float] = {}
        for participant in room.participants.values():
            loudest = SILENCE
            for sid in participant.tracks:
                up_track = self._server.up_tracks.get(sid)
                if up_track is not None and up_track.kind == "audio":
                    loudest = min(loudest, up_track.take_level())
            if loudest <= SPEAKING:
                levels[participant.sid] = 10 ** (-loudest / 20)
        before = self._speakers.get(room.sid, {})
        changed = [
            models.SpeakerInfo(sid=sid, level=level, active=True)
            for sid, level in levels.items()
            if abs(level - before.get(sid, 0.0)) >= SPEAKING_STEP or sid not in before
        ]
        changed += [
            models.SpeakerInfo(sid=sid, active=False) for sid in before if sid not in levels
        ]
        if not changed:
            return
        self._speakers[room.sid] = levels
        room.send_speakers(changed)


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
