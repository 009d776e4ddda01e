"""Typed lines, answered one after the other: each interrupts what is being said."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

from livekit.agents import AgentSession
from livekit.agents.voice import SpeechHandle

from .statistics import Counts

LINES_LIMIT: Final = 32
MAX_LINE: Final = 2_000
"""Characters of a typed line that the agent reads."""
HANDOFF_TRIES: Final = 60
HANDOFF_PAUSE: Final = 0.05  # seconds

AnySession: TypeAlias = AgentSession[Any]


@dataclass(slots=True)
class _Turn:
    owner: object
    sender: str
    handle: SpeechHandle | None = None


_TURN: ContextVar[_Turn | None] = ContextVar("livelayer_turn", default=None)


@final
class Turns:
    """Gives an `AgentSession` what people type, and knows whose line is being answered."""

    def __init__(self, session: AnySession, counts: Counts) -> None:
        self._session = session
        self._counts = counts
        self._lines: asyncio.Queue[tuple[str, str]] = asyncio.Queue(LINES_LIMIT)
        self._running = asyncio.Event()

    def put(self, text: str, sender: str) -> None:
        """Have a line answered; blank ones are ignored. Never waits."""
        if not text.strip():
            return
        try:
            self._lines.put_nowait((text[:MAX_LINE], sender))
        except asyncio.QueueFull:
            self._counts["lines_dropped"] += 1

    def begin(self) -> None:
        """The session runs: lines can be answered."""
        self._running.set()

    @property
    def asker(self) -> str | None:
        """Whose typed line the calling task works on; None if it works on no such line."""
        turn = _TURN.get()
        if turn is None or turn.owner is not self:
            return None
        # A task made during a turn outlives it: what it does later answers nobody's line.
        return turn.sender if turn.handle is None or not turn.handle.done() else None

    async def run(self) -> None:
        """Answer until cancelled."""
        await self._running.wait()
        while True:
            text, sender = await self._lines.get()
            turn = _Turn(self, sender)
            _TURN.set(turn)
            await self._interrupt()
            turn.handle = await self._reply(text)
            if turn.handle is None:
                self._counts["lines_unanswered"] += 1

    async def _reply(self, text: str) -> SpeechHandle | None:
        """Have the session reply; during a hand-off, as soon as the next agent has it."""
        for _ in range(HANDOFF_TRIES):
            try:
                handle = self._session.generate_reply(user_input=text)
            except RuntimeError:
                handle = None
            if handle is not None and not handle.interrupted:
                return handle
            # livekit-agents does not say when the next agent can be given something.
            await asyncio.sleep(HANDOFF_PAUSE)
        return None

    async def _interrupt(self) -> None:
        try:
            await self._session.interrupt()
        except RuntimeError:
            # What is being said may not be interrupted: the reply comes after it.
            return
