"""Typed lines, answered one after the other; each interrupts the agent's speech."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any, Final, final

import msgspec
from livekit.agents import AgentSession
from livekit.agents.llm import ChatMessage
from livekit.agents.voice import SpeechHandle

from .statistics import Counts

LINES_LIMIT: Final = 32
"""Typed lines that may wait for an answer."""
MAX_LINE: Final = 2_000
"""Characters of a typed line that the agent reads."""
MAX_ID: Final = 64  # characters of a line's id
HANDOFF_TRIES: Final = 60
HANDOFF_PAUSE: Final = 0.05  # seconds


class _Turn(msgspec.Struct):
    owner: object
    sender: str
    handle: SpeechHandle | None = None


_TURN: ContextVar[_Turn | None] = ContextVar("livelayer_turn", default=None)


@final
class TextInput:
    """Gives an `AgentSession` the typed lines, and knows whose line is being answered."""

    def __init__(self, session: AgentSession[Any], counts: Counts) -> None:
        self._session = session
        self._counts = counts
        self._lines: asyncio.Queue[tuple[str, str, str | None]] = asyncio.Queue(LINES_LIMIT)
        self._running = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether the next line would be dropped."""
        return self._lines.full()

    def put(self, text: str, sender: str, line_id: str | None = None) -> None:
        """Queue a line to be answered; a blank one is ignored. Never waits.

        `line_id` becomes the id of its message in the session's history: a replay of the line is
        then known to be the one that the person's transcript has.
        """
        if not text.strip():
            return
        try:
            self._lines.put_nowait((text[:MAX_LINE], sender, line_id))
        except asyncio.QueueFull:
            self._counts["lines_dropped"] += 1

    def begin(self) -> None:
        """Answer from now on: the session runs."""
        self._running.set()

    @property
    def asker(self) -> str | None:
        """The sender of the line that the calling task answers; None if it answers none."""
        turn = _TURN.get()
        if turn is None or turn.owner is not self:
            return None
        # A task that outlives its turn does not answer the line any more.
        return turn.sender if turn.handle is None or not turn.handle.done() else None

    async def run(self) -> None:
        """Answer until cancelled."""
        await self._running.wait()
        while True:
            text, sender, line_id = await self._lines.get()
            turn = _Turn(self, sender)
            _TURN.set(turn)
            await self._interrupt()
            turn.handle = await self._reply(text, line_id)
            if turn.handle is None:
                self._counts["lines_unanswered"] += 1

    async def _reply(self, text: str, line_id: str | None) -> SpeechHandle | None:
        """Have the session reply; during a handoff, as soon as the next agent runs."""
        line: str | ChatMessage = text
        # The id comes from a person: it must not be that of another message.
        if line_id and len(line_id) <= MAX_ID and not self._session.history.get_by_id(line_id):
            line = ChatMessage(id=line_id, role="user", content=[text])
        for _ in range(HANDOFF_TRIES):
            try:
                handle = self._session.generate_reply(user_input=line)
            except RuntimeError:
                handle = None
            if handle is not None and not handle.interrupted:
                return handle
            # livekit-agents does not report when the next agent accepts input.
            await asyncio.sleep(HANDOFF_PAUSE)
        return None

    async def _interrupt(self) -> None:
        try:
            await self._session.interrupt()
        except RuntimeError:
            # This speech does not allow interruptions: the reply comes after it.
            return
