"""The agent's commands: routed to surfaces, read by the application, and answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Self, final

import anyio
import msgspec

from .. import events
from ..bus import Subscription
from ..clock import Clock
from ..errors import LivelayerError, describe
from ..events import CommandFinished, CommandRefused, CommandRefusedReason, RefusalReason
from ..messages import (
    Command,
    CommandResult,
    RawMessage,
    RequestApproval,
    capability_of,
    is_command,
)
from ..state import SessionState
from ..surfaces import CommandRouter, RoutedCommand, Target
from ..tasks import TaskOwner
from .approvals import Approvals
from .store import Store

MAX_RESULTS: Final = 4096  # results that wait for the transport


@final
class AgentCommands:
    """Routes the agent's commands to the session's surfaces; each result is an event."""

    def __init__(
        self, store: Store, surfaces: Iterable[Target], tasks: TaskOwner, clock: Clock
    ) -> None:
        self._store = store
        self._results: deque[tuple[int, CommandResult]] = deque()
        self._dropped = 0
        self._due = anyio.Event()
        self.router: Final[CommandRouter[Target]] = CommandRouter(
            surfaces, self._deliver, self._settled, tasks, clock
        )
        self.approvals: Final = Approvals(store, self._tell, tasks, clock)

    def route(
        self, command: Command, payload: bytes, request: str | None, sender: str | None
    ) -> None:
        """Give `command` to a surface, or refuse it because none has the capability."""
        capability = capability_of(command)
        if isinstance(command, RequestApproval):
            routed = self.router.choose(capability) is not None
            if routed:
                self.approvals.ask(command)
        else:
            routed = self.router.route(command, payload, request, sender)
        if not routed:
            detail = f"no mounted surface was given the capability {capability!r}"
            self.refuse(command.wire_type(), "capability", detail, request, sender)

    def refuse(
        self,
        command: str,
        reason: CommandRefusedReason,
        detail: str,
        request: str | None,
        sender: str | None,
    ) -> None:
        """Publish that the command is not carried out, and why."""
        self._store.publish(CommandRefused(command, reason, detail, request, sender))
        # With `sender` the command did not come from an agent: no agent waits for its result.
        if reason != "sender":
            self._tell(CommandResult(command=command, request_id=request, ok=False, reason=reason))

    def _deliver(self, routed: RoutedCommand, surface: Target) -> bool:
        event = events.CommandReceived(
            routed.command.wire_type(),
            msgspec.Raw(routed.payload),
            routed.number,
            surface.key,
            routed.request_id,
            routed.sender,
        )
        self._store.publish(events.carrying(event, routed.command))
        return True

    def _settled(self, routed: RoutedCommand, ok: bool, reason: RefusalReason | None) -> None:
        command, request, surface = routed.command.wire_type(), routed.request_id, routed.target
        finished = CommandFinished(command, routed.number, surface or "", ok, reason, request)
        self._store.publish_late(finished)
        self._tell(
            CommandResult(
                command=command, request_id=request, surface=surface or "", ok=ok, reason=reason
            )
        )

    # Results to the agent -------------------------------------------------------------------

    async def report(self, send: Callable[[CommandResult], Awaitable[None]]) -> None:
        """Send the agent the result of each of its commands, until cancelled.

        Results wait in a queue of their own, not in the bus's ring: however slow the transport and
        however many events there are, none is overwritten. Those past `MAX_RESULTS` are dropped,
        counted and reported as one `HandlerFailed`.
        """
        while True:
            self._due = anyio.Event()
            while self._results:
                epoch, result = self._results.popleft()
                # The agent that waits for it is gone after a switch.
                if epoch == self._store.state.epoch:
                    try:
                        await send(result)
                    except LivelayerError as error:
                        self._failed(describe(error))
            if self._dropped:
                self._failed(f"{self._dropped} results were dropped: the transport is too slow")
                self._dropped = 0
            await self._due.wait()

    def _tell(self, result: CommandResult) -> None:
        if len(self._results) < MAX_RESULTS:
            self._results.append((self._store.state.epoch, result))
            self._due.set()
        else:
            self._dropped += 1

    def _failed(self, problem: str) -> None:
        self._store.publish_late(events.HandlerFailed("command_result", problem))


@final
class CommandStream:
    """The agent's well-formed commands and unknown messages, in order; one reader at a time."""

    def __init__(self, packets: Subscription[events.DataReceived, SessionState]) -> None:
        self._packets = packets

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Command | RawMessage:
        """The next one.

        Raises:
            Lagged: some were overwritten unread; iteration goes on with the oldest kept.
        """
        while True:
            packet = await anext(self._packets)
            if packet.from_agent:
                message = packet.message
                if isinstance(message, RawMessage) or is_command(message):
                    return message

    def close(self) -> None:
        """Stop reading."""
        self._packets.close()
