"""An agent's commands on their way to the page that carries them out, and its answers back."""

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

from .events import command_frame
from .problems import unknown_command
from .stream import EventStream
from .viewers import Viewer, Viewers

PATIENCE: Final = 2.0
"""Seconds that a command waits for a page: as long as a reload may take."""
END_SECONDS: Final = 1.0
"""For the timers of a surface that is unmounted to end."""

Reason: TypeAlias = Literal["capability", "invalid", "failed"]
"""Why a page did not carry a command out."""


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
        """Settled commands: `ok`, or why not."""

    def __len__(self) -> int:
        """Commands that are not settled yet."""
        return len(self._router)

    async def run(self) -> None:
        """Take commands until the session ends."""
        try:
            async for command in self._commands:
                # What is of unknown type reaches every page as an event.
                if not isinstance(command, RawMessage):
                    self._router.route(command, encode(command))
        finally:
            self._router.forget()
            await self._tasks.aclose(END_SECONDS)

    def stream_opened(self, stream: EventStream) -> None:
        """A page can take commands: what it was given, and what waited for it, is written."""
        self._router.target_ready(stream.viewer)

    def stream_closed(self, viewer: Viewer) -> None:
        """A page cannot take commands any more; it may come back."""
        self._router.target_away(viewer.key)

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
        routed = self._router.find(number, viewer.key)
        if routed is None:
            raise unknown_command()
        for reply in replies:
            if (size := len(encode(reply))) > self._max_bytes:
                raise MessageTooLargeError(size, self._max_bytes)
        self._router.claim(routed)
        try:
            for reply in replies:
                await self._session.send_data(reply)
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
        stream.command(command_frame(routed.number, routed.payload))
        return True

    def _settled(self, routed: RoutedCommand, ok: bool, reason: RefusalReason | None) -> None:
        self.outcomes["ok" if ok else reason or "failed"] += 1
        self._commands.finish(routed.command, ok=ok, reason=reason)
