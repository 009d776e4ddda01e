"""The agent's commands: routed to surfaces, read by the application, and answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Self, final

import msgspec

from .. import events
from ..bus import Subscription
from ..clock import Clock
from ..errors import LivelayerError, describe
from ..events import CommandFinished, CommandRefused, CommandRefusedReason, RefusalReason
from ..messages import Command, CommandResult, RawMessage, capability_of, is_command
from ..state import SessionState
from ..surfaces import CommandRouter, RoutedCommand, Target
from ..tasks import TaskOwner
from .store import Store, take_next


@final
class AgentCommands:
    """Routes the agent's commands to the session's surfaces; each result is an event."""

    def __init__(
        self, store: Store, surfaces: Iterable[Target], tasks: TaskOwner, clock: Clock
    ) -> None:
        self._store = store
        self.router: Final[CommandRouter[Target]] = CommandRouter(
            surfaces, self._deliver, self._settled, tasks, clock
        )

    def route(
        self, command: Command, payload: bytes, request: str | None, sender: str | None
    ) -> None:
        """Give `command` to a surface, or refuse it because none has the capability."""
        if not self.router.route(command, payload, request, sender):
            capability = capability_of(command)
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

    def _deliver(self, routed: RoutedCommand, surface: Target) -> bool:
        event = events.CommandReceived(
            command=routed.command.wire_type(),
            payload=msgspec.Raw(routed.payload),
            number=routed.number,
            surface=surface.key,
            request_id=routed.request_id,
            sender=routed.sender,
        )
        self._store.publish(events.carrying(event, routed.command))
        return True

    def _settled(self, routed: RoutedCommand, ok: bool, reason: RefusalReason | None) -> None:
        self._store.publish_late(
            CommandFinished(
                routed.command.wire_type(),
                routed.number,
                routed.target or "",
                ok,
                reason,
                routed.request_id,
            )
        )


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


async def report_results(store: Store, send: Callable[[CommandResult], Awaitable[None]]) -> None:
    """Send the agent the result of each of its commands until the session is closed."""
    with store.bus.subscribe(CommandFinished, CommandRefused, events.EpochStarted) as outcomes:
        epoch = store.state.epoch
        while True:
            outcome, lagged = await take_next(outcomes)
            if lagged is not None:
                _failed(store, lagged)
            if outcome is None:
                return
            if isinstance(outcome, events.EpochStarted):
                epoch = outcome.epoch
                continue
            result = _result(outcome)
            if result is not None and epoch == store.state.epoch:
                try:
                    await send(result)
                except LivelayerError as error:
                    _failed(store, error)


def _failed(store: Store, error: LivelayerError) -> None:
    store.publish_late(events.HandlerFailed("command_result", describe(error)))


def _result(outcome: CommandFinished | CommandRefused) -> CommandResult | None:
    if isinstance(outcome, CommandFinished):
        return CommandResult(
            command=outcome.command,
            request_id=outcome.request_id,
            surface=outcome.surface,
            ok=outcome.ok,
            reason=outcome.reason,
        )
    if outcome.reason == "sender":
        return None  # the command did not come from an agent: no agent waits for its result
    return CommandResult(
        command=outcome.command, request_id=outcome.request_id, ok=False, reason=outcome.reason
    )
