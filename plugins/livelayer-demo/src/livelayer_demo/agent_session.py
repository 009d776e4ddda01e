"""The agent on stage: everything that runs while it is in a connected room."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from concurrent.futures import Executor
from typing import Any, Final

from livekit import rtc
from livekit.agents import (
    AgentStateChangedEvent,
    CloseEvent,
    UserStateChangedEvent,
)
from livekit.agents.voice import room_io
from livekit.plugins.livelayer import BridgeStatistics, SurfaceBridge, is_person
from livekit.plugins.livelayer.face import Face, MouthTimeline

from livelayer_bus.messages import ALL, FormSubmitBlocked, FormSubmitted

from . import guide
from .avatar import Avatar, AvatarStatistics
from .brain import OUTPUT_RATE
from .conversation import Conversation
from .hearing import Transcribe
from .models import ModelsKind
from .parts import Stage, build_agent, build_session
from .player import MouthOutput
from .speech import Voice

_SESSION_CLOSE_SECONDS: Final = 2.5
_ANSWER_SECONDS: Final = 6.0  # that a page has to say what became of a command, a reload included
_LOG = logging.getLogger(__name__)


class Performance:
    """One agent in one room: its session, its bridge, its face. `run` is the whole of it."""

    def __init__(
        self,
        room: rtc.Room,
        face: Face,
        voice: Voice | None,
        executor: Executor,
        *,
        models: ModelsKind,
        greeting: str | None,
        thinking_seconds: float,
        transcribe: Transcribe | None = None,
    ) -> None:
        self._room = room
        self._greeting = greeting
        self._timeline = MouthTimeline()
        self._avatar = Avatar(face, self._timeline)
        self._transcribe = transcribe
        self._session = build_session(models, self._hear if transcribe is not None else None)
        self._conversation = Conversation(self._session)
        self._bridge = SurfaceBridge(
            self._session, room, capabilities=ALL, command_timeout=_ANSWER_SECONDS
        )
        self._bridge.on(FormSubmitted)(self._conversation.notice)
        self._bridge.on(FormSubmitBlocked)(self._conversation.notice)
        stage = Stage(
            self._bridge, voice, executor, self._conversation.speech_heard, thinking_seconds
        )
        self._agent = build_agent(models, stage)
        self._ended = asyncio.Event()
        self._end_reason: str | None = None

    @property
    def end_reason(self) -> str | None:
        """Why it ended on its own; None if it did not."""
        return self._end_reason

    def video_statistics(self) -> AvatarStatistics:
        """Frames sent and left out so far."""
        return self._avatar.statistics()

    def wire_statistics(self) -> BridgeStatistics:
        """Data messages sent and received so far."""
        return self._bridge.statistics()

    def end(self, reason: str | None = None) -> None:
        """Ask it to end; the first reason stands."""
        if not self._ended.is_set():
            self._end_reason = reason
            self._ended.set()

    async def run(self, ready: asyncio.Future[None]) -> None:
        """Perform until `end` is called; `ready` is set once the agent can answer."""
        self._listen()
        try:
            await self._start()
            async with asyncio.TaskGroup() as group:
                drawing = group.create_task(self._avatar.run(), name="demo-video")
                self._greet_if_somebody_is_there()
                if not ready.done():
                    ready.set_result(None)
                await self._ended.wait()
                drawing.cancel()
        finally:
            self._unlisten()
            await self._bridge.aclose()
            await bounded(self._session.aclose(), _SESSION_CLOSE_SECONDS)

    async def aclose(self) -> None:
        """Free what may only be freed once the room is left."""
        await self._avatar.aclose()

    async def _start(self) -> None:
        await self._bridge.start()
        await self._session.start(
            self._agent,
            room=self._room,
            room_options=room_io.RoomOptions(
                text_input=room_io.TextInputOptions(text_input_cb=self._bridge.text_input),
                audio_output=room_io.AudioOutputOptions(sample_rate=OUTPUT_RATE),
                # People come and go; the agent stays until its block is left.
                close_on_disconnect=False,
            ),
            session_host=False,
            record=False,
        )
        if (output := self._session.output.audio) is not None:
            self._session.output.audio = MouthOutput(output, self._timeline)
        await self._avatar.publish(self._room)

    async def _hear(self, speech: rtc.AudioFrame) -> str:
        if self._transcribe is None:
            return ""
        try:
            return await self._transcribe(speech)
        except Exception as exc:  # noqa: BLE001 - somebody else's ears: their fault is told, not ours
            _LOG.warning("speech could not be transcribed: %s", type(exc).__name__)
            self._conversation.remark(guide.PLEASE_TYPE)
            return ""

    def _listen(self) -> None:
        self._room.on("participant_active", self._on_participant_active)
        self._session.on("agent_state_changed", self._on_agent_state)
        self._session.on("user_state_changed", self._on_user_state)
        self._session.on("close", self._on_session_close)

    def _unlisten(self) -> None:
        self._session.off("close", self._on_session_close)
        self._session.off("user_state_changed", self._on_user_state)
        self._session.off("agent_state_changed", self._on_agent_state)
        self._room.off("participant_active", self._on_participant_active)

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        self._avatar.expression.set_state(event.new_state)

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        self._avatar.expression.set_user_speaking(event.new_state == "speaking")

    def _on_session_close(self, event: CloseEvent) -> None:
        self.end(f"its AgentSession closed ({event.reason.value})")

    def _on_participant_active(self, participant: rtc.RemoteParticipant) -> None:
        if not is_person(participant):
            return
        linked = self._session.room_io.linked_participant
        if linked is None or linked.identity not in self._room.remote_participants:
            # RoomIO itself follows only the first person it met.
            self._session.room_io.set_participant(participant.identity)
        self._greet()

    def _greet_if_somebody_is_there(self) -> None:
        active = rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE
        people = self._room.remote_participants.values()
        if any(is_person(person) and person.state == active for person in people):
            self._greet()

    def _greet(self) -> None:
        # Only once somebody is active: before, the first words of the transcript would be lost.
        greeting, self._greeting = self._greeting, None
        if greeting is not None:
            self._conversation.remark(greeting)


async def bounded(closing: Coroutine[Any, Any, None], seconds: float) -> None:
    """Close something in bounded time; what does not end is left behind."""
    try:
        async with asyncio.timeout(seconds):
            await closing
    except TimeoutError:
        _LOG.warning("closing took more than %g s and was given up", seconds)
