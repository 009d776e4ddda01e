"""Keeps one note in the current agent's chat context in step with what the surfaces told."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, final

from .page_context import Surroundings
from .text_input import AnySession

NOTE_ID: Final = "livelayer_surroundings"
"""The id of the note in the chat context; there is never more than one."""
_LOG = logging.getLogger(__name__)


@final
class ContextNote:
    """Writes the note anew whenever it is `stale`, into whichever agent has the session."""

    def __init__(self, session: AnySession, surroundings: Surroundings) -> None:
        self._session = session
        self._surroundings = surroundings
        self._stale = asyncio.Event()
        self._running = asyncio.Event()

    def begin(self) -> None:
        """The session runs."""
        self._running.set()

    def mark_stale(self) -> None:
        """Something changed: other surroundings, or another agent."""
        self._stale.set()

    async def run(self) -> None:
        """Write until cancelled."""
        await self._running.wait()
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                await self._write()
            except Exception as error:  # noqa: BLE001 - a realtime model's own errors end here
                _LOG.warning("the chat context was not updated: %s", type(error).__name__)

    async def _write(self) -> None:
        agent = self._session.current_agent
        context = agent.chat_ctx.copy()
        old = context.get_by_id(NOTE_ID)
        text = self._surroundings.text()
        if old is not None:
            if old.type == "message" and old.text_content == text:
                return
            context.remove(old)
        elif not text:
            return
        if text:
            context.add_message(role="system", content=text, id=NOTE_ID)
        # The calls of tools that are hidden now stay part of the conversation.
        await agent.update_chat_ctx(context, exclude_invalid_function_calls=False)
