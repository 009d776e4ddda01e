"""One run of the agent in a connected room: its session, its bridge, its face and its remarks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, Final

from livekit import rtc
from livekit.agents import AgentSession, CloseEvent
from livekit.agents.voice import room_io
from livekit.plugins.livelayer import BridgeStatistics, FaceAvatar, SurfaceBridge, is_person

from livelayer_bus.clock import SystemClock
from livelayer_bus.messages import ALL, FormSubmitBlocked, FormSubmitted, FormSubmitUncertain

from . import guide
from .models import ModelsKind, build_session, model_agent
from .offline import GuideAgent, Transcribe
from .speech import Voice

REMIND_SECONDS: Final = 30.0
"""How long a short reminder is enough after the agent explained that it cannot transcribe."""

_SESSION_CLOSE_SECONDS: Final = 2.5
_ANSWER_SECONDS: Final = 6.0  # that a page has to answer a command, a reload included

logger = logging.getLogger(__name__)


class DemoAgentSession:
    """Runs one agent in one room; `run` lasts from its start to its end."""

    def __init__(
        self,
        room: rtc.Room,
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
        self._transcribe = transcribe
        self._session = build_session(models, self._hear if transcribe is not None else None)
        self._remarks = Remarks(self._session)
        self._avatar = FaceAvatar()
        self._bridge = SurfaceBridge(
            self._session, room, capabilities=ALL, command_timeout=_ANSWER_SECONDS
        )
        self._bridge.on(FormSubmitted)(self._remarks.form_ended)
        self._bridge.on(FormSubmitBlocked)(self._remarks.form_ended)
        self._bridge.on(FormSubmitUncertain)(self._remarks.form_ended)
        self._agent = model_agent()
        if models == "offline":
            self._agent = GuideAgent(
                self._bridge,
                voice or Voice(),
                executor,
                self._remarks.cannot_transcribe,
                thinking_seconds=thinking_seconds,
            )
        self._ended = asyncio.Event()
        self._end_reason: str | None = None

    @property
    def end_reason(self) -> str | None:
        """Why it ended on its own; None if it did not."""
        return self._end_reason

    def wire_statistics(self) -> BridgeStatistics:
        """Data messages sent and received so far."""
        return self._bridge.statistics()

    def end(self, reason: str | None = None) -> None:
        """Ask it to end; the first reason is kept."""
        if not self._ended.is_set():
            self._end_reason = reason
            self._ended.set()

    async def run(self, ready: asyncio.Future[None]) -> None:
        """Run until `end` is called; `ready` is set once the agent can answer."""
        self._room.on("participant_active", self._on_participant_active)
        self._session.on("close", self._on_session_close)
        try:
            await self._start()
            self._greet_if_present()
            if not ready.done():
                ready.set_result(None)
            await self._ended.wait()
        finally:
            self._session.off("close", self._on_session_close)
            self._room.off("participant_active", self._on_participant_active)
            await self._bridge.aclose()
            await bounded(self._session.aclose(), _SESSION_CLOSE_SECONDS)

    async def aclose(self) -> None:
        """Free what may only be freed after the room was left."""
        await self._avatar.aclose()

    async def _start(self) -> None:
        await self._bridge.start()
        await self._avatar.start(self._session, self._room)
        await self._session.start(
            self._agent,
            room=self._room,
            room_options=room_io.RoomOptions(
                text_input=room_io.TextInputOptions(text_input_cb=self._bridge.text_input),
                audio_output=False,  # the avatar's
                # Users come and go; the agent stays until its block is left.
                close_on_disconnect=False,
            ),
            session_host=False,
            record=False,
        )

    async def _hear(self, speech: rtc.AudioFrame) -> str:
        if self._transcribe is None:
            return ""
        try:
            return await self._transcribe(speech)
        except Exception as exc:  # noqa: BLE001 - the application's function may raise anything
            logger.warning("speech was not transcribed: %s", type(exc).__name__)
            self._remarks.say(guide.PLEASE_TYPE)
            return ""

    def _on_session_close(self, event: CloseEvent) -> None:
        self.end(f"its AgentSession closed ({event.reason.value})")

    def _on_participant_active(self, participant: rtc.RemoteParticipant) -> None:
        if not is_person(participant):
            return
        linked = self._session.room_io.linked_participant
        if linked is None or linked.identity not in self._room.remote_participants:
            # RoomIO itself follows only the first participant.
            self._session.room_io.set_participant(participant.identity)
        self._greet()

    def _greet_if_present(self) -> None:
        active = rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE
        participants = self._room.remote_participants.values()
        if any(is_person(one) and one.state == active for one in participants):
            self._greet()

    def _greet(self) -> None:
        # Only once a participant is active: before, the transcript's first words are lost.
        greeting, self._greeting = self._greeting, None
        if greeting is not None:
            self._remarks.say(greeting)


class Remarks:
    """What the agent says without being asked; nothing while the session is closing."""

    def __init__(self, session: AgentSession[Any]) -> None:
        self._session = session
        self._clock = SystemClock()
        self._reminded: float | None = None

    def say(self, text: str) -> None:
        """Say something after the current speech; never waits."""
        with suppress(RuntimeError):  # the session is closing
            self._session.say(text)

    def form_ended(
        self, message: FormSubmitted | FormSubmitBlocked | FormSubmitUncertain, _sender: str
    ) -> None:
        """Say how a form ended that the user submitted."""
        self.say(guide.notice_text(message))

    def cannot_transcribe(self) -> None:
        """Say that speech is heard but not understood: in full first, then in short."""
        now = self._clock.now()
        recently = self._reminded is not None and now - self._reminded < REMIND_SECONDS
        self._reminded = now
        self.say(guide.PLEASE_TYPE if recently else guide.CANNOT_TRANSCRIBE)


async def bounded(closing: Coroutine[Any, Any, None], seconds: float) -> None:
    """Close something in bounded time; what takes longer is cancelled and logged."""
    try:
        async with asyncio.timeout(seconds):
            await closing
    except TimeoutError:
        logger.warning("closing took more than %g s and was given up", seconds)
