"""A livekit-agents worker that joins the rooms of the session endpoint.

    livelayer serve                                     # prints what to export
    python examples/agent_worker.py start               # or: dev

It needs no other key: without one it answers by rules and speaks with espeak-ng. It stays in its
room while users may come back; the bridge sends a returning user the transcript's tail.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from livekit import rtc
from livekit.agents import AgentServer, AgentSession, JobContext, cli
from livekit.agents.voice import room_io
from livekit.plugins import livelayer
from livelayer_demo import models_of_this_machine
from livelayer_demo.models import build_session, model_agent
from livelayer_demo.offline import GuideAgent
from livelayer_demo.speech import Voice

from livelayer_bus.messages import ALL
from livelayer_bus.tokens import DispatchMetadata, read_dispatch_metadata

AGENT_NAME = os.environ.get("LIVELAYER_AGENT", "livelayer-demo")
RESUME_SECONDS = 300.0  # the endpoint's resume window

server = AgentServer()


class Visitors:
    """Greets the first user, and leaves a room that stays empty."""

    def __init__(self, ctx: JobContext, session: AgentSession[Any]) -> None:
        self._ctx = ctx
        self._session = session
        self._leaving: asyncio.TimerHandle | None = None
        self._greeted = False

    def open(self) -> None:
        """Watch the room from now on; a user who is there already is greeted too."""
        self._ctx.room.on("participant_active", self._came)
        self._ctx.room.on("participant_disconnected", self._left)
        for person in self._ctx.room.remote_participants.values():
            if person.state == rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE:
                self._came(person)

    def close(self) -> None:
        """Stop waiting for a user to come back."""
        self._stay()

    def _came(self, person: rtc.RemoteParticipant) -> None:
        if person.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            return
        self._stay()
        if not self._greeted:
            about = read_dispatch_metadata(self._ctx.job.metadata) or DispatchMetadata("")
            self._session.say("Welcome back!" if about.resumed else "Hello, I am Lumi.")
        self._greeted = True

    def _left(self, _person: rtc.RemoteParticipant) -> None:
        people = self._ctx.room.remote_participants.values()
        if all(p.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT for p in people):
            loop = asyncio.get_running_loop()
            self._stay()
            self._leaving = loop.call_later(RESUME_SECONDS, self._ctx.shutdown, "no user came back")

    def _stay(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None


async def talk(ctx: JobContext) -> None:
    """Serve one room, from the dispatch to its end."""
    await ctx.connect()
    models = models_of_this_machine().kind
    executor = ThreadPoolExecutor(1, thread_name_prefix="voice")
    voice = await asyncio.get_running_loop().run_in_executor(executor, Voice)

    session = build_session(models)
    bridge = livelayer.SurfaceBridge(session, ctx.room, capabilities=ALL)
    agent = model_agent()
    if models == "offline":
        agent = GuideAgent(bridge, voice, executor, lambda: None, thinking_seconds=0.0)
    await bridge.start()
    await session.start(
        agent,
        room=ctx.room,
        room_options=room_io.RoomOptions(
            text_input=room_io.TextInputOptions(text_input_cb=bridge.text_input),
            # The agent waits for users to come back, as long as `Visitors` does.
            close_on_disconnect=False,
        ),
        record=False,
    )
    visitors = Visitors(ctx, session)
    visitors.open()

    async def close() -> None:
        visitors.close()
        executor.shutdown(wait=False, cancel_futures=True)

    ctx.add_shutdown_callback(close)


server.rtc_session(talk, agent_name=AGENT_NAME)

if __name__ == "__main__":
    cli.run_app(server)
