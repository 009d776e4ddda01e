"""What was said, shown again to who comes back to the room."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

from livekit import rtc
from livekit.agents import AgentSession

from livelayer_bus.tasks import TaskOwner

from .incoming import is_person
from .statistics import Counts

TAIL: Final = 20
"""Lines of the transcript that are shown again."""
MAX_GONE: Final = 32  # people whose departure is remembered

_RESUMED: Final = "livelayer.resumed"  # set by the session endpoint
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Line:
    id: str
    text: str
    of_agent: bool


@final
class Replay:
    """Shows the transcript's tail to participants with the attribute livelayer.resumed="true".

    Who left on purpose begins with an empty page and is shown the whole tail; who was cut off
    still has the old one and is shown only what was said since. Lines keep the ids of the
    session's history, so that repetitions merge. Nobody else in the room is shown anything.
    """

    def __init__(
        self,
        session: AgentSession[Any],
        room: rtc.Room,
        tasks: TaskOwner,
        counts: Counts,
        *,
        lines: int,
    ) -> None:
        self._session = session
        self._room = room
        self._tasks = tasks
        self._counts = counts
        self._limit = lines
        self._gone: dict[str, tuple[str, float]] = {}
        self._coming: dict[str, tuple[_Line, ...]] = {}

    def start(self) -> None:
        """Watch who comes and goes; who is there already has heard what was said."""
        if self._limit > 0:
            self._each(self._room.on)

    def stop(self) -> None:
        """Watch no longer."""
        if self._limit > 0:
            self._each(self._room.off)

    def _each(self, change: Callable[[Any, Callable[..., Any]], Any]) -> None:
        change("participant_connected", self._on_connected)
        change("participant_active", self._on_active)
        change("participant_disconnected", self._on_left)

    def _on_connected(self, person: rtc.RemoteParticipant) -> None:
        visit, since = self._gone.pop(person.identity, ("", 0.0))
        if visit == person.sid:
            return  # it was the agent who was away, and they still have their page
        if is_person(person) and person.attributes.get(_RESUMED) == "true":
            # Taken now: what is said from here on may reach them by itself.
            self._coming[person.identity] = self._tail(since)

    def _on_active(self, person: rtc.RemoteParticipant) -> None:
        lines = self._coming.pop(person.identity, ())
        if lines:
            self._tasks.start(lambda: self._show(lines, person), "bridge replay")

    def _on_left(self, person: rtc.RemoteParticipant) -> None:
        self._coming.pop(person.identity, None)
        # Without a reason the SDK saw only that somebody new has the identity: a quick return.
        left = person.disconnect_reason in (None, rtc.DisconnectReason.CLIENT_INITIATED)
        self._gone[person.identity] = (person.sid, 0.0 if left else time.time())
        self._gone = dict(list(self._gone.items())[-MAX_GONE:])

    def _tail(self, since: float) -> tuple[_Line, ...]:
        lines = [
            _Line(item.id, item.text_content, item.role == "assistant")
            for item in self._session.history.items
            if item.type == "message"
            and item.role in ("user", "assistant")
            and item.created_at >= since
            and item.text_content
        ]
        return tuple(lines[-self._limit :])

    async def _show(self, lines: tuple[_Line, ...], person: rtc.RemoteParticipant) -> None:
        """In the order in which they were said, as long as this visit lasts."""
        for line in lines:
            if self._room.remote_participants.get(person.identity) is not person:
                return
            try:
                await self._write(line, person.identity)
            except Exception:  # noqa: BLE001 - outside a room the SDK raises whatever it happens to
                self._counts["failed"] += 1
                _LOG.warning("the transcript's tail was not shown to its end")
                return

    async def _write(self, line: _Line, identity: str) -> None:
        agent = self._room.local_participant
        stream = await agent.stream_text(
            topic="lk.transcription",
            destination_identities=[identity],
            sender_identity=agent.identity if line.of_agent else identity,
            attributes={"lk.segment_id": line.id, "lk.transcription_final": "true"},
        )
        await stream.write(line.text)
        await stream.aclose()
