"""Routes an agent's commands to pages, and the pages' answers back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, final

from livelayer_bus import LivelayerError
from livelayer_bus.clock import Clock
from livelayer_bus.errors import MessageTooLargeError
from livelayer_bus.messages import RawMessage, RefusalReason, encode
from livelayer_bus.surfaces import CommandRouter, RoutedCommand, SurfaceCommands, SurfaceSession
from livelayer_bus.tasks import TaskOwner

from .http import Problem
from .stream import EventStream
from .viewers import Viewer, Viewers

PATIENCE: Final = 2.0
"""Seconds that a command waits for a page: as long as a reload may take."""
END_SECONDS: Final = 1.0
"""How long the timers may take to end after unmounting."""

Reason: TypeAlias = Literal["capability", "invalid", "failed"]
"""Why a page did not carry out a command."""


@final
class Pages:
    """Gives each command to one page, and its answer to the agent.

    Guarantee: a command goes to the active page. If that page has no event stream, or loses it, the
    command waits for `PATIENCE` and then fails. Until it is answered, it is written again to each
    new stream of the same page, and never to another page, which would carry it out twice. Each
    command is finished once: by the page's answer, as failed, or after ten seconds. An answer's
    replies reach the agent first, in order.

    Args:
        session: where the commands come from.
        viewers: the pages.
        stream_of: returns the event stream of a page, if it has one.
        numbers: identify commands on the wire; they never repeat.
        clock: what `PATIENCE` is measured on.
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
        self._stream_of = stream_of
        self._max_bytes = max_bytes
        self._commands: SurfaceCommands = session.commands(auto=False)
        self._tasks = TaskOwner()
        self._router: CommandRouter[Viewer] = CommandRouter(
            viewers,
            self._deliver,
            self._settled,
            self._tasks,
            clock,
            patience=PATIENCE,
            numbers=numbers,
        )
        self.outcomes: Counter[str] = Counter()
        """Finished commands by outcome: `ok`, or the reason."""

    def __len__(self) -> int:
        """Commands that are not finished yet."""
        return len(self._router)

    async def run(self) -> None:
        """Take commands until the session ends."""
        try:
            async for command in self._commands:
                # A command of an unknown type reaches every page as an event.
                if not isinstance(command, RawMessage):
                    self._router.route(command, encode(command))
        finally:
            self._router.forget()
            await self._tasks.aclose(END_SECONDS)

    def stream_opened(self, viewer: Viewer) -> None:
        """A page accepts commands: those that were given to it, or wait for it, are written."""
        self._router.target_ready(viewer)

    def stream_closed(self, viewer: Viewer) -> None:
        """A page no longer accepts commands. It may come back."""
        self._router.target_away(viewer.key)

    async def answer(
        self,
        viewer: Viewer,
        number: int,
        ok: bool,
        reason: Reason | None,
        replies: Sequence[Mapping[str, Any]],
    ) -> None:
        """Finish a command with the page's answer. Its replies go to the agent first.

        Raises:
            Problem: it is finished already, or was given to another page.
            MalformedMessageError, MessageTooLargeError: a reply cannot be sent; none was,
                and the page may answer again.
            LivelayerError: a reply could not be sent; the command has failed.
        """
        routed = self._router.find(number, viewer.key)
        if routed is None:
            detail = "this command is settled already, or is another page's"
            raise Problem(404, "command", detail)
        for reply in replies:
            if (size := len(encode(reply))) > self._max_bytes:
                raise MessageTooLargeError(size, self._max_bytes)
        self._router.claim(routed)
        try:
            for reply in replies:
                await self._session.send_data(reply, confirm=None)
        except LivelayerError:
            self._router.finish(number, False, "failed")
            raise
        finally:
            routed.claimed = False
        self._router.finish(number, ok, None if ok else reason or "failed")

    def _deliver(self, routed: RoutedCommand, viewer: Viewer) -> bool:
        stream = self._stream_of(viewer)
        if stream is None:
            return False
        stream.command(viewer, routed.number, routed.payload)
        return True

    def _settled(self, routed: RoutedCommand, ok: bool, reason: RefusalReason | None) -> None:
        self.outcomes["ok" if ok else reason or "failed"] += 1
        self._commands.finish(routed.command, ok=ok, reason=reason)
