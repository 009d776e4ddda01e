"""The transcript's tail, sent again to a participant who comes back to the room."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final, final

import msgspec
from livekit import rtc
from livekit.agents import AgentSession

from livelayer_bus.rooms import names
from livelayer_bus.tasks import TaskOwner
from livelayer_bus.tokens import RESUMED_ATTRIBUTE

from .data_channel import is_person
from .statistics import Counts

TAIL: Final = 20
"""Lines of the transcript that are sent again."""
MAX_GONE: Final = 32  # participants whose departure is remembered


logger = logging.getLogger(__name__)


class _Line(msgspec.Struct, frozen=True):
    id: str
    text: str
    of_agent: bool


@final
class Replay:
    """Sends the transcript's tail to participants with the attribute livelayer.resumed="true".

    A participant who left on purpose returns with an empty page and gets the whole tail; one who
    lost the connection still has the old lines and gets only those added since. Lines keep the ids
    of the session's history, so that repetitions merge. No other participant gets anything.
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
        """Watch participants come and go; those in the room already have the transcript."""
        if self._limit > 0:
            self._each(self._room.on)

    def stop(self) -> None:
        """Stop watching."""
        if self._limit > 0:
            self._each(self._room.off)

    def _each(self, change: Callable[[Any, Callable[..., Any]], Any]) -> None:
        change("participant_connected", self._on_connected)
        change("participant_active", self._on_active)
        change("participant_disconnected", self._on_left)

    def _on_connected(self, person: rtc.RemoteParticipant) -> None:
        visit, since = self._gone.pop(person.identity, ("", 0.0))
        if visit == person.sid:
            return  # the agent was away; the participant still has their page
        if is_person(person) and person.attributes.get(RESUMED_ATTRIBUTE) == "true":
            # Taken now: later lines may reach the participant by themselves.
            self._coming[person.identity] = self._tail(since)

    def _on_active(self, person: rtc.RemoteParticipant) -> None:
        lines = self._coming.pop(person.identity, ())
        if lines:
            self._tasks.start(lambda: self._show(lines, person), "bridge replay")

    def _on_left(self, person: rtc.RemoteParticipant) -> None:
        self._coming.pop(person.identity, None)
        # Without a reason the SDK only saw the identity again under a new sid: a quick return.
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
        """Send the lines in their order, as long as this visit lasts."""
        for line in lines:
            if self._room.remote_participants.get(person.identity) is not person:
                return
            try:
                await self._write(line, person.identity)
            except Exception:  # noqa: BLE001 - outside a room the SDK raises any kind of error
                self._counts["failed"] += 1
                logger.warning("the transcript's tail was not sent completely")
                return

    async def _write(self, line: _Line, identity: str) -> None:
        agent = self._room.local_participant
        stream = await agent.stream_text(
            topic=names.TRANSCRIPTION_TOPIC,
            destination_identities=[identity],
            sender_identity=agent.identity if line.of_agent else identity,
            attributes={
                names.SEGMENT_ID: line.id,
                names.TRANSCRIPTION_FINAL: "true",
                names.REPLAYED: "true",
            },
        )
        await stream.write(line.text)
        await stream.aclose()
