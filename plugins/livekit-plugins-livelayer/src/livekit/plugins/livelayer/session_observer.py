"""Observes an `AgentSession` and its room: state, agents, errors, people, the avatar's track."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from livekit import rtc
from livekit.agents import (
    Agent,
    AgentSession,
    AgentStateChangedEvent,
    CloseEvent,
    ConversationItemAddedEvent,
    ErrorEvent,
    UserStateChangedEvent,
)

from livelayer_bus.clock import SystemClock
from livelayer_bus.messages import AgentError, FromAgent, IdleTimeout, IdleWarning
from livelayer_bus.rooms import names
from livelayer_bus.tasks import RootTask, TaskOwner

from .data_channel import is_person
from .status_announcer import StatusAnnouncer

_ERRORS = {
    "llm_error": "the language model failed",
    "stt_error": "the speech recognition failed",
    "tts_error": "the voice failed",
    "realtime_model_error": "the realtime model failed",
}


@final
class SessionObserver:
    """Turns events of the session and the room into messages and calls."""

    def __init__(
        self,
        session: AgentSession[Any],
        room: rtc.Room,
        status: StatusAnnouncer,
        tasks: TaskOwner,
        *,
        send: Callable[[FromAgent, str | None], object],
        leave_after: float | None,
        on_running: Callable[[], None],
        on_handoff: Callable[[], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._session = session
        self._room = room
        self._status = status
        self._tasks = tasks
        self._send = send
        self._leave_after = leave_after
        self._leaving: RootTask | None = None
        self._on_running = on_running
        self._on_handoff = on_handoff
        self._on_closed = on_closed
        self._failed = False

    def start(self) -> None:
        """Observe from now on, beginning with the present state."""
        self._each(self._session.on, self._room.on)
        self._look_for_avatar()
        self._follow_state(self._session.agent_state)

    def stop(self) -> None:
        """Stop observing."""
        self._each(self._session.off, self._room.off)
        self._stay()

    def _each(self, session: Callable[[Any, Any], Any], room: Callable[[Any, Any], Any]) -> None:
        session("agent_state_changed", self._on_agent_state)
        session("user_state_changed", self._on_user_state)
        session("conversation_item_added", self._on_item)
        session("error", self._on_error)
        session("close", self._on_close)
        room("participant_active", self._on_active)
        room("local_track_published", self._on_local_track)
        room("local_track_unpublished", self._on_any_track)
        room("track_published", self._on_any_track)
        room("track_unpublished", self._on_any_track)
        room("participant_disconnected", self._on_any_track)

    def current_agent(self) -> Agent | None:
        """The agent that runs; None before the session runs."""
        try:
            return self._session.current_agent
        except RuntimeError:
            return None

    def people(self) -> set[str]:
        """The identities of all participants who may have a surface."""
        participants = self._room.remote_participants.values()
        return {participant.identity for participant in participants if is_person(participant)}

    @property
    def linked(self) -> str | None:
        """The participant whose voice the session hears, if they are in the room."""
        try:
            participant = self._session.room_io.linked_participant
        except RuntimeError:
            return None
        if participant is None or participant.identity not in self.people():
            return None
        return participant.identity

    def _follow_state(self, state: str) -> None:
        self._status.set_state(state)
        if state != "initializing" and not self._status.ready:
            self._on_running()
            self._status.set_ready()

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        self._follow_state(event.new_state)

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        if event.new_state != "away":
            self._stay()
            return
        self._send(IdleWarning(), None)
        if self._leave_after is not None and self._leaving is None:
            self._leaving = self._tasks.start(self._leave, "bridge idle timeout")

    async def _leave(self) -> None:
        await SystemClock().sleep(self._leave_after or 0.0)
        self._leaving = None
        self._send(IdleTimeout(), None)
        self._session.shutdown()

    def _stay(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        if event.item.type == "agent_handoff":
            self._on_handoff()

    def _on_error(self, event: ErrorEvent) -> None:
        if getattr(event.error, "recoverable", True):
            return
        self._fail(str(getattr(event.error, "type", "")))

    def _on_close(self, event: CloseEvent) -> None:
        if event.error is not None and not self._failed:
            self._fail(event.error.type)
        self._on_closed()

    def _fail(self, kind: str) -> None:
        # Not the error's own text: it may quote addresses, keys or transcripts.
        self._failed = True
        self._send(AgentError(_ERRORS.get(kind, "the agent failed")), None)

    def _on_active(self, participant: rtc.RemoteParticipant) -> None:
        if is_person(participant):
            self._status.introduce(participant.identity)

    def _on_local_track(self, publication: rtc.LocalTrackPublication, _track: object) -> None:
        if publication.kind == rtc.TrackKind.KIND_VIDEO:
            self._status.set_avatar(True)

    def _on_any_track(self, *_: object) -> None:
        self._look_for_avatar()

    def _look_for_avatar(self) -> None:
        if not self._room.isconnected():
            return
        me = self._room.local_participant
        publications = list(me.track_publications.values())
        kinds = [publication.kind for publication in publications]
        for participant in self._room.remote_participants.values():
            if participant.attributes.get(names.PUBLISH_ON_BEHALF) == me.identity:
                kinds.extend(one.kind for one in participant.track_publications.values())
        self._status.set_avatar(rtc.TrackKind.KIND_VIDEO in kinds)
