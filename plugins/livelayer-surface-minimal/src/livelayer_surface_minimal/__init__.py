"""A surface in one screen: it prints what is said, and goes where the agent asks it to."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from livelayer_bus import Lagged, SurfaceSession, TranscriptEntry, TranscriptUpdated
from livelayer_bus.messages import Navigate

__all__ = ["MinimalSurface"]


class MinimalSurface:
    """Gives every finished utterance, and every address the agent asks for, to `show`.

    Guarantee: an utterance is shown once; after falling behind, what was missed is shown from the
    state. Capabilities it can use: `navigate`.

    Args:
        prefix: stands before every line; in livelayer.toml an option of the surface's table.
        show: takes a line; must not block the event loop for long.
    """

    def __init__(self, prefix: str = "", show: Callable[[str], None] = print) -> None:
        self._prefix = prefix
        self._show = show
        self._shown: set[str] = set()

    async def run(self, session: SurfaceSession) -> None:
        """Show the session until unmounted."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._show_transcript, session)
            tasks.start_soon(self._follow_commands, session)

    async def _show_transcript(self, session: SurfaceSession) -> None:
        # The snapshot is the state before the first event: nothing is missed, nothing comes twice.
        with session.subscribe(TranscriptUpdated) as updates:
            self._show_all(updates.snapshot.transcript)
            while True:
                try:
                    update = await anext(updates)
                except StopAsyncIteration:
                    return
                except Lagged:
                    self._show_all(updates.resync().transcript)
                else:
                    self._show_all((update.entry,))

    async def _follow_commands(self, session: SurfaceSession) -> None:
        # Asking for the next command tells the agent that the last one was carried out.
        async for command in session.commands():
            if isinstance(command, Navigate):
                self._show(f"{self._prefix}-> {command.href}")

    def _show_all(self, entries: tuple[TranscriptEntry, ...]) -> None:
        for entry in entries:
            if entry.final and entry.id not in self._shown:
                self._shown.add(entry.id)
                self._show(f"{self._prefix}{entry.role}: {entry.text}")
