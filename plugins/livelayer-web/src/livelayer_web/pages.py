"""An agent's commands on their way to the page that carries them out, and its answers back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, final

import anyio
import anyio.abc

from livelayer_bus import LivelayerError
from livelayer_bus.clock import Clock
from livelayer_bus.errors import MessageTooLargeError
from livelayer_bus.messages import Command, RawMessage, encode
from livelayer_bus.surfaces import COMMAND_TIMEOUT, SurfaceCommands, SurfaceSession

from .events import command_frame
from .problems import unknown_command
from .stream import EventStream
from .viewers import Viewer, Viewers

PATIENCE: Final = 2.0
"""Seconds that a command waits for a page: as long as a reload may take."""

Reason: TypeAlias = Literal["capability", "invalid", "failed"]
"""Why a page did not carry a command out."""


@final
class _Pending:
    """A command that is not settled yet."""

    def __init__(self, number: int, command: Command) -> None:
        self.number: Final = number
        self.command: Final = command
        self.frame: Final = command_frame(number, encode(command))
        self.page: str | None = None
        """The id of the viewer that it was given to."""
        self.answering = False
        self.patience: anyio.CancelScope | None = None
        self.limit = anyio.CancelScope()


@final
class Pages:
    """Gives each command to one page, and its answer to the agent.

    Guarantee: a command goes to the active page; if that page has no event stream, or loses it,
    the command waits for it for `PATIENCE`, and then fails. It is written again to a stream of
    the page that it was given to, until it is answered; never to another page, which would carry
    it out twice. Each is settled once: by the page's answer, or as failed, or after ten seconds.
    An answer's replies reach the agent first, in order.

    Args:
        session: whose commands these are.
        viewers: the pages.
        stream_of: the event stream of a page, if it has one.
        numbers: names commands on the wire; never repeats.
        clock: what patience is measured on.
        max_bytes: of one reply.
    """

    def __init__(
        self,
        session: SurfaceSession,
        viewers: Viewers,
        stream_of: Callable[[Viewer], EventStream | None],
        numbers: Iterator[int],
        clock: Clock,
        max_bytes: int,
    ) -> None:
        self._session = session
        self._viewers = viewers
        self._stream_of = stream_of
        self._numbers = numbers
        self._clock = clock
        self._max_bytes = max_bytes
        self._commands: SurfaceCommands = session.commands(auto=False)
        self._pending: dict[int, _Pending] = {}
        self._group: anyio.abc.TaskGroup | None = None
        self.outcomes: Counter[str] = Counter()
        """Settled commands: `ok`, or why not."""

    def __len__(self) -> int:
        """Commands that are not settled yet."""
        return len(self._pending)

    async def run(self) -> None:
        """Take commands until the session ends."""
        async with anyio.create_task_group() as group:
            self._group = group
            try:
                async for command in self._commands:
                    # What is of unknown type reaches every page as an event.
                    if not isinstance(command, RawMessage):
                        self._take(command, group)
            finally:
                self._group = None
            group.cancel_scope.cancel()

    def stream_opened(self, stream: EventStream) -> None:
        """A page can take commands: what it was given, and what waited for it, is written."""
        active = self._viewers.active
        for pending in tuple(self._pending.values()):
            mine = pending.page == stream.viewer.id
            if mine or (pending.page is None and active is stream.viewer):
                self._give(pending, stream)

    def stream_closed(self, viewer: Viewer) -> None:
        """A page cannot take commands any more; it may come back."""
        for pending in self._pending.values():
            if pending.page == viewer.id and not pending.answering:
                self._wait_for_page(pending)

    async def answer(
        self,
        viewer: Viewer,
        number: int,
        ok: bool,
        reason: Reason | None,
        replies: Sequence[Mapping[str, Any]],
    ) -> None:
        """Settle a command with what the page says; its replies go to the agent first.

        Raises:
            Problem: it is settled already, or was given to another page.
            MalformedMessageError, MessageTooLargeError: a reply cannot be sent; nothing was, and
                the page may answer again.
            LivelayerError: a reply could not be sent; the command has failed.
        """
        pending = self._pending.get(number)
        if pending is None or pending.page != viewer.id or pending.answering:
            raise unknown_command()
        for reply in replies:
            if (size := len(encode(reply))) > self._max_bytes:
                raise MessageTooLargeError(size, self._max_bytes)
        pending.answering = True
        if pending.patience is not None:
            pending.patience.cancel()
        try:
            for reply in replies:
                await self._session.send_data(reply)
        except LivelayerError:
            self._settle(pending, False, "failed")
            raise
        finally:
            pending.answering = False
        self._settle(pending, ok, None if ok else reason or "failed")

    def _take(self, command: Command, group: anyio.abc.TaskGroup) -> None:
        pending = _Pending(next(self._numbers), command)
        self._pending[pending.number] = pending
        group.start_soon(self._expire, pending)
        active = self._viewers.active
        stream = self._stream_of(active) if active is not None else None
        if stream is not None:
            self._give(pending, stream)
        else:
            pending.page = active.id if active is not None else None
            self._wait_for_page(pending)

    def _give(self, pending: _Pending, stream: EventStream) -> None:
        if pending.patience is not None:
            pending.patience.cancel()
        pending.page = stream.viewer.id
        stream.command(pending.frame)

    def _wait_for_page(self, pending: _Pending) -> None:
        if pending.patience is not None:
            pending.patience.cancel()
        if self._group is not None:
            pending.patience = anyio.CancelScope()
            self._group.start_soon(self._give_up, pending, pending.patience)

    async def _give_up(self, pending: _Pending, patience: anyio.CancelScope) -> None:
        with patience:
            await self._clock.sleep(PATIENCE)
            self._settle(pending, False, "failed")

    async def _expire(self, pending: _Pending) -> None:
        with pending.limit:
            await self._clock.sleep(COMMAND_TIMEOUT)
            self._settle(pending, False, "timeout")

    def _settle(
        self,
        pending: _Pending,
        ok: bool,
        reason: Literal["capability", "invalid", "failed", "timeout"] | None,
    ) -> None:
        if self._pending.pop(pending.number, None) is None:
            return
        pending.limit.cancel()
        if pending.patience is not None:
            pending.patience.cancel()
        self.outcomes["ok" if ok else reason or "failed"] += 1
        self._commands.finish(pending.command, ok=ok, reason=reason)
