"""Commands that wait for an answer: who may answer, and which answer belongs to which."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, final

from livelayer_bus.messages import (
    CommandResult,
    FormSubmitBlocked,
    FormSubmitted,
    FormSubmitUncertain,
    PageContext,
    PageContextPending,
    RawMessage,
    Routes,
    request_id,
)

from .command_result import Answer, Outcome
from .data_channel import Incoming
from .statistics import Counts

PENDING_SECONDS: Final = 10.0
"""How long to wait for a page's context once the page announced it."""
VALUE_SECONDS: Final = 1.0
"""How long to wait for the value once a surface reported success."""
LATE_SECONDS: Final = 15.0
"""How long an answer that comes too late is still recognised."""

_REASONS: Final = {
    "capability": Outcome.REFUSED,
    "declined": Outcome.DECLINED,
    "invalid": Outcome.INVALID,
    "timeout": Outcome.TIMEOUT,
}
_WITH_VALUE: Final = ("request_page_context", "request_routes", "submit_form")
"""Commands whose `command_result` is not the whole answer."""
_STEPS: Final = ("advance_step", "submit_flow")


@final
class PendingCommand:
    """A command that was sent, and the participants it was sent to."""

    def __init__(
        self, command: str, identity: str | None, asked: Iterable[str], reply: str | None = None
    ) -> None:
        """
        Args:
            command: The command's type.
            identity: Its `requestId`, if it carries one.
            asked: The identities of those who may answer.
            reply: The type of an application's own message that is the answer.
        """
        self.command = command
        self.request_id = identity
        self.asked = set(asked)
        self.reply = reply
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.deadline: asyncio.Timeout | None = None
        self.expires: float | None = None
        self.accepted = False

    @property
    def wants_more(self) -> bool:
        """Whether a reported success is not the whole answer."""
        return self.command in _WITH_VALUE or self.reply is not None

    def settle(self, answer: Answer) -> None:
        """Take an answer: the first success counts, or what a person declined; a failure only if
        all have failed.
        """
        if answer.participant is not None:
            self.asked.discard(answer.participant)
        decided = answer or answer.outcome is Outcome.DECLINED
        if not self.answer.done() and (decided or not self.asked):
            self.answer.set_result(answer)

    def extend(self, seconds: float) -> None:
        """Let the wait end `seconds` from now."""
        if self.deadline is not None and not self.answer.done():
            self.deadline.reschedule(asyncio.get_running_loop().time() + seconds)


@final
class CommandRequests:
    """Assigns each answer to its command: by its `requestId`, else to the oldest that fits.

    Only an answer of a participant that was asked counts. An answer that comes too late is
    recognised and discarded, so that a later, equal command does not get it.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._pending: list[PendingCommand] = []

    @property
    def waiting(self) -> int:
        """Commands whose answer is awaited."""
        return sum(not pending.answer.done() for pending in self._pending)

    def add(self, pending: PendingCommand) -> None:
        """Expect answers to `pending`."""
        self._forget_old()
        self._pending.append(pending)

    async def wait(self, pending: PendingCommand, timeout: float) -> Answer:
        """Wait for the answer; `SILENCE` after `timeout` seconds."""
        answered = False
        try:
            async with asyncio.timeout(timeout) as pending.deadline:
                answer = await pending.answer
            answered = True
        except TimeoutError:
            answered = pending.accepted
            # A success was reported, but nothing followed it.
            done = answered and pending.command == "submit_form"
            answer = Answer(Outcome.DONE if done else Outcome.SILENCE)
        finally:
            if answered:
                self._pending.remove(pending)
            else:
                pending.expires = asyncio.get_running_loop().time() + LATE_SECONDS
        return answer

    def take(self, message: Incoming, sender: str) -> bool:
        """Assign a message to its command; False if it is not an answer to one."""
        match message:
            case CommandResult():
                self._take_result(message, sender)
                return True
            case PageContextPending():
                for pending in self._asked("request_page_context", sender, request_id(message)):
                    pending.extend(PENDING_SECONDS)
                return True
            case PageContext():
                return self._resolve("request_page_context", message, message.context, sender)
            case Routes():
                return self._resolve("request_routes", message, message.routes, sender)
            case FormSubmitted() | FormSubmitBlocked() | FormSubmitUncertain():
                return self._take_form(message, sender)
            case RawMessage():
                return self._take_reply(message, sender)
            case _:
                return False

    def left(self, identity: str) -> None:
        """Note that a participant left the room and will not answer."""
        for pending in self._pending:
            if identity in pending.asked:
                pending.settle(Answer(Outcome.GONE, participant=identity))

    def close(self) -> None:
        """End every wait without an answer."""
        for pending in self._pending:
            pending.asked.clear()
            pending.settle(Answer(Outcome.SILENCE))

    def _forget_old(self) -> None:
        now = asyncio.get_running_loop().time()
        self._pending = [
            pending for pending in self._pending if pending.expires is None or pending.expires > now
        ]

    def _asked(self, command: str, sender: str, identity: str | None) -> list[PendingCommand]:
        """The commands of this type that `sender` was asked, oldest first; by id, if it has one."""
        self._forget_old()
        return [
            pending
            for pending in self._pending
            if pending.command == command
            and sender in pending.asked
            and identity in (None, pending.request_id)
        ]

    def _give(self, pending: PendingCommand, answer: Answer) -> None:
        if pending.expires is not None:
            self._pending.remove(pending)
            return
        pending.settle(answer)

    def _take_result(self, result: CommandResult, sender: str) -> None:
        asked = self._asked(result.command, sender, result.request_id)
        pending = next((one for one in asked if not (one.accepted and result.ok)), None)
        if pending is None:
            if not asked:
                self._counts["forged"] += 1
            return
        if result.ok and pending.wants_more and pending.expires is None:
            pending.accepted = True
            pending.extend(VALUE_SECONDS)
            return
        failed = _REASONS.get(result.reason or "", Outcome.FAILED)
        outcome = Outcome.DONE if result.ok else failed
        self._give(pending, Answer(outcome, surface=result.surface, participant=sender))

    def _resolve(
        self, command: str, message: PageContext | Routes, value: object, sender: str
    ) -> bool:
        asked = self._asked(command, sender, message.request_id)
        if not asked:
            if message.request_id is not None:
                self._counts["forged"] += 1
            return False
        self._give(asked[0], Answer(Outcome.DONE, value, participant=sender))
        return True

    def _take_form(
        self, message: FormSubmitted | FormSubmitBlocked | FormSubmitUncertain, sender: str
    ) -> bool:
        identity = message.request_id
        asked = [] if identity is None else self._asked("submit_form", sender, identity)
        if isinstance(message, FormSubmitBlocked) and not asked:
            # A form held back the control that was pressed.
            asked = [one for kind in _STEPS for one in self._asked(kind, sender, identity)]
        if not asked:
            self._counts["forged"] += identity is not None
            return False
        outcome, fields = Outcome.DONE, None
        if isinstance(message, FormSubmitBlocked):
            outcome = Outcome.BLOCKED if message.reason == "validation" else Outcome.FAILED
            fields = message.invalid_fields or None
        elif isinstance(message, FormSubmitUncertain):
            outcome = Outcome.UNCERTAIN
        self._give(asked[0], Answer(outcome, fields, participant=sender))
        return True

    def _take_reply(self, message: RawMessage, sender: str) -> bool:
        identity = request_id(message)
        for pending in self._pending:
            if (
                pending.reply == message.type
                and sender in pending.asked
                and identity in (None, pending.request_id)
            ):
                self._give(pending, Answer(Outcome.DONE, message.fields, participant=sender))
                return True
        return False
