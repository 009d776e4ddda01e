"""What the agent asks a person to approve: shown on every surface, settled once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Final, final

from ..clock import Clock
from ..events import ApprovalOutcome, ApprovalRequested, ApprovalSettled, RefusalReason
from ..messages import CommandResult, RequestApproval
from ..tasks import TaskOwner, Timer
from .store import Store

MAX_WAITING: Final = 8  # approvals that wait for an answer; a further one fails

_REASONS: Final[dict[ApprovalOutcome, RefusalReason]] = {
    "declined": "declined",
    "timeout": "timeout",
}


@final
class Approvals:
    """Holds the agent's questions, as the session's state has them.

    Guarantee: each is settled once: by the first answer, after its `seconds`, or because the agent
    withdrew it. The agent gets one `command_result`, unless it withdrew the question or left.
    """

    def __init__(
        self, store: Store, tell: Callable[[CommandResult], None], tasks: TaskOwner, clock: Clock
    ) -> None:
        self._store = store
        self._tell = tell
        self._tasks = tasks
        self._clock = clock
        self._numbers = count(1)
        self._timers: dict[int, Timer] = {}

    def ask(self, request: RequestApproval) -> None:
        """Show a question, unless it is shown already; past `MAX_WAITING` it fails."""
        waiting = self._store.state.approvals
        if request.request_id and any(one.request_id == request.request_id for one in waiting):
            return
        if len(waiting) >= MAX_WAITING:
            self._answer(request.request_id, None, "failed")
            return
        self._forget_ended()
        number = next(self._numbers)
        self._store.publish(
            ApprovalRequested(
                number, request.question, request.details, request.seconds, request.request_id
            )
        )
        timer = Timer(partial(self._end, number), f"approval {number}", self._tasks, self._clock)
        self._timers[number] = timer
        timer.start(request.seconds)

    def settle(self, number: int, outcome: ApprovalOutcome, surface: str | None = None) -> bool:
        """Settle a question that waits; False, and nothing was done, if it does not."""
        waiting = self._store.state.approvals
        asked = next((one for one in waiting if one.number == number), None)
        if asked is None:
            return False
        self._store.publish(ApprovalSettled(number, outcome, surface))
        self._forget_ended()
        if outcome != "withdrawn":
            self._answer(asked.request_id, surface, _REASONS.get(outcome))
        return True

    def withdraw(self, request_id: str) -> None:
        """The agent does not wait for this one any more."""
        for one in self._store.state.approvals:
            if one.request_id == request_id:
                self.settle(one.number, "withdrawn")

    def _end(self, number: int) -> None:
        self.settle(number, "timeout")

    def _answer(
        self, request: str | None, surface: str | None, reason: RefusalReason | None
    ) -> None:
        kind, ok = RequestApproval.wire_type(), reason is None
        self._tell(
            CommandResult(command=kind, ok=ok, reason=reason, request_id=request, surface=surface)
        )

    def _forget_ended(self) -> None:
        # The state drops what an agent asked when that agent leaves.
        waiting = {one.number for one in self._store.state.approvals}
        for number in self._timers.keys() - waiting:
            self._timers.pop(number).stop()
