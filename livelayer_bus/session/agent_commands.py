"""The agent's commands on their way to the surfaces; what becomes of each is an event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, final

import msgspec

from ..clock import Clock
from ..events import (
    CommandFinished,
    CommandReceived,
    CommandRefused,
    CommandRefusedReason,
    RefusalReason,
    carrying,
)
from ..messages import Command, capability_of
from ..surfaces.commands import CommandRouter, RoutedCommand, Target
from ..tasks import TaskOwner
from .store import Store


@final
class AgentCommands:
    """Routes the agent's commands to the session's surfaces; what becomes of each is an event."""

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
        """Do not carry the command out, and publish why."""
        self._store.publish(CommandRefused(command, reason, detail, request, sender))

    def _deliver(self, routed: RoutedCommand, surface: Target) -> bool:
        event = CommandReceived(
            command=routed.command.wire_type(),
            payload=msgspec.Raw(routed.payload),
            number=routed.number,
            surface=surface.key,
            request_id=routed.request_id,
            sender=routed.sender,
        )
        self._store.publish(carrying(event, routed.command))
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
