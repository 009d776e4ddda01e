"""The agent's commands: routed to surfaces, read by the application, and answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from itertools import count
from typing import Final, final

import anyio
import msgspec

from .. import events
from ..errors import LivelayerError, describe
from ..events import ApprovalOutcome, CommandRefusedReason, RefusalReason
from ..messages import Command, CommandResult, RequestApproval, capability_of
from ..surfaces import CommandRouter, RoutedCommand, Target
from ..tasks import Timer
from .store import Store

MAX_RESULTS: Final = 4096  # results that wait for the transport
MAX_WAITING: Final = 8  # approvals that wait for an answer; a further one fails


@final
class AgentCommands:
    """Routes the agent's commands to the session's surfaces; each result is an event.

    What the agent asks a person to approve goes to all of them. Guarantee: each question is settled
    once: by the first answer, after its `seconds`, or because the agent withdrew it. The agent gets
    one `command_result`, unless it withdrew the question or left.
    """

    def __init__(self, store: Store, surfaces: Iterable[Target]) -> None:
        self._store = store
        self._results: deque[tuple[int, CommandResult]] = deque()
        self._dropped = 0
        self._due = anyio.Event()
        self.router: Final[CommandRouter[Target]] = CommandRouter(
            surfaces, self._deliver, self._settled, store.tasks, store.clock
        )
        self._approvals = count(1)
        self._approval_timers: dict[int, Timer] = {}

    def route(
        self, command: Command, payload: bytes, request: str | None, sender: str | None
    ) -> None:
        """Give `command` to a surface, or refuse it because none has the capability."""
        capability = capability_of(command)
        if isinstance(command, RequestApproval):
            routed = self.router.choose(capability) is not None
            if routed:
                self._ask(command)
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
        self._store.publish(events.CommandRefused(command, reason, detail, request, sender))
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
        command, request, key = routed.command.wire_type(), routed.request_id, routed.target or ""
        self._store.publish_late(
            events.CommandFinished(command, routed.number, key, ok, reason, request)
        )
        self._tell(
            CommandResult(command=command, request_id=request, surface=key, ok=ok, reason=reason)
        )

    def _ask(self, request: RequestApproval) -> None:
        """Show a question, unless it is shown already; past `MAX_WAITING` it fails."""
        waiting = self._store.state.approvals
        if request.request_id and any(one.request_id == request.request_id for one in waiting):
            return
        if len(waiting) >= MAX_WAITING:
            self._answer(request.request_id, None, "failed")
            return
        self._stop_approval_timers()
        number, seconds = next(self._approvals), request.seconds
        self._store.publish(
            events.ApprovalRequested(
                number, request.question, request.details, seconds, request.request_id
            )
        )

        def end() -> None:
            self.settle_approval(number, "timeout")

        self._approval_timers[number] = timer = self._store.timer(end, f"approval {number}")
        timer.start(seconds)

    def settle_approval(
        self, number: int, outcome: ApprovalOutcome, surface: str | None = None
    ) -> bool:
        """Settle a question that waits; False, and nothing was done, if it does not."""
        waiting = self._store.state.approvals
        asked = next((one for one in waiting if one.number == number), None)
        if asked is None:
            return False
        self._store.publish(events.ApprovalSettled(number, outcome, surface))
        self._stop_approval_timers()
        if outcome != "withdrawn":
            self._answer(asked.request_id, surface, None if outcome == "approved" else outcome)
        return True

    def withdraw_approval(self, request_id: str) -> None:
        for one in self._store.state.approvals:
            if one.request_id == request_id:
                self.settle_approval(one.number, "withdrawn")

    def _answer(
        self, request: str | None, surface: str | None, reason: RefusalReason | None
    ) -> None:
        kind, ok = RequestApproval.wire_type(), reason is None
        self._tell(
            CommandResult(command=kind, ok=ok, reason=reason, request_id=request, surface=surface)
        )

    def _stop_approval_timers(self) -> None:
        # Those that are settled, and those of an agent that left: the state has dropped them.
        waiting = {one.number for one in self._store.state.approvals}
        for number in self._approval_timers.keys() - waiting:
            self._approval_timers.pop(number).stop()

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
