"""`FaceAvatar`: the drawn face as the avatar of any agent, moved by the agent's own voice."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Never, final

from livekit import rtc
from livekit.agents import AgentSession, AgentStateChangedEvent, UserStateChangedEvent
from livekit.agents.voice.avatar import (
    AvatarOptions,
    AvatarRunner,
    AvatarSession,
    QueueAudioOutput,
)

from livelayer_bus.errors import MisuseError

from .face import HEIGHT, WIDTH, Expression, Face
from .face_video import AUDIO_RATE, FRAMES_PER_SECOND, FaceVideo

PROVIDER: Final = "livelayer-face"


@final
class FaceAvatar(AvatarSession[Never]):
    """Shows a face that speaks what the agent says; no service, no key, no second participant.

    The agent itself publishes the face and its voice, in step, from its first words on (as
    livekit-agents' `AvatarRunner` does, once somebody listens). Start it before the session, like
    any avatar of livekit-agents, whose stand-in it can be in tests. Closed by `aclose`, or with
    the job.
    """

    def __init__(self) -> None:
        super().__init__()
        self._expression = Expression()
        self._runner: AvatarRunner | None = None
        self._session: AgentSession[Any] | None = None
        self._identity = ""

    @property
    def avatar_identity(self) -> str:
        """The agent's own identity: the face is published by it."""
        return self._identity

    @property
    def provider(self) -> str:
        """What metrics call it."""
        return PROVIDER

    async def start(self, agent_session: AgentSession[Any], room: rtc.Room) -> None:
        """Become the session's voice and face. The room must be connected.

        Raises:
            MisuseError: the room is not connected, or it was started before.
        """
        if self._runner is not None:
            raise MisuseError("this FaceAvatar was started before: create a new one")
        if not room.isconnected():
            raise MisuseError("connect the room first: await ctx.connect()")
        self._identity = room.local_participant.identity
        face = await asyncio.to_thread(Face)
        voice = QueueAudioOutput(sample_rate=AUDIO_RATE, wait_playback_start=True)
        self._runner = AvatarRunner(
            room,
            audio_recv=voice,
            video_gen=FaceVideo(face, self._expression),
            options=AvatarOptions(
                video_width=WIDTH,
                video_height=HEIGHT,
                video_fps=FRAMES_PER_SECOND,
                audio_sample_rate=AUDIO_RATE,
                audio_channels=1,
            ),
        )
        self._session = agent_session
        agent_session.on("agent_state_changed", self._on_agent_state)
        agent_session.on("user_state_changed", self._on_user_state)
        await super().start(agent_session, room)
        await self._runner.start()
        agent_session.output.audio = voice

    async def aclose(self) -> None:
        """Stop drawing; the session has no voice in the room any more. Repeatable."""
        session, self._session = self._session, None
        if session is not None:
            session.off("agent_state_changed", self._on_agent_state)
            session.off("user_state_changed", self._on_user_state)
        # The base class would remove the avatar's participant, which here is the agent itself.
        self._room = None
        await super().aclose()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.aclose()

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        self._expression.set_state(event.new_state)

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        self._expression.set_user_speaking(event.new_state == "speaking")
