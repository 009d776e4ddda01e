"""Messages that the agent's bridge has not confirmed yet: numbered, in order, bounded."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Final, final

import anyio
import msgspec

from ..errors import BusyError
from ..rooms import names

RESEND_SECONDS: Final = 1.0  # until a message is sent again; doubled each time
MAX_PAUSE: Final = 8.0  # seconds


class DeliveryStatistics(msgspec.Struct, frozen=True):
    """The messages that an agent's bridge had to confirm, so far."""

    waiting: int
    """Not confirmed yet; at most 1024."""
    confirmed: int
    failed: int
    """Given up: out of time, cancelled, or the room was left."""
    resent: int
    """Messages sent again, each time counted."""
    refused: int
    """Not accepted, because too many waited."""


@final
class Unconfirmed:
    """One message that waits for its confirmation."""

    def __init__(self, message_id: str, data: bytes, kind: str | None) -> None:
        self.data: Final = data
        self.type: Final = kind
        self.topic: Final = names.CONFIRM_TOPIC + message_id
        self.confirmed = False
        self.sent = 0
        self.handed_over = False
        """The transport was given it, and may have it."""
        self._visit: object = None
        self._pause = 0.0
        self._due = 0.0
        self._changed = anyio.Event()

    def is_due(self, visit: object, now: float) -> bool:
        """Whether to send it: an agent that is new here lacks it, or a pause has passed."""
        return not self.confirmed and (visit != self._visit or now >= self._due)

    def note(self, visit: object, now: float, *, sent: bool) -> None:
        """The transport took it, or did not: it is not due for a while."""
        again = visit == self._visit and sent
        self._pause = min(2 * self._pause, MAX_PAUSE) if again else RESEND_SECONDS
        self._visit, self._due = visit, now + self._pause
        self.sent += sent

    def wake(self) -> None:
        """Make its sender look at it again."""
        self._changed.set()

    async def changed(self) -> None:
        """Return once `wake` was called after the last return."""
        await self._changed.wait()
        self._changed = anyio.Event()


@final
class Confirmations:
    """What waits for a confirmation, oldest first; never more than a bridge remembers."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._number = 0
        self._waiting: dict[str, Unconfirmed] = {}
        self._confirmed = self._failed = self._refused = self._resent = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def until(self, newest: Unconfirmed) -> Iterator[Unconfirmed]:
        """What waits now, oldest first, up to `newest`."""
        for message in tuple(self._waiting.values()):
            yield message
            if message is newest:
                return

    @contextmanager
    def expect(self, data: bytes, kind: str | None) -> Generator[Unconfirmed]:
        """Number a message, and keep it for the block.

        Raises:
            BusyError: a bridge could not tell a repetition of the oldest one any more.
        """
        number = self._number + 1
        oldest = next(iter(self._waiting), None)
        if oldest is not None and number - _number(oldest) >= names.CONFIRM_WINDOW:
            self._refused += 1
            hint = f"{len(self)} messages wait for their confirmation; send fewer at once"
            raise BusyError("confirmed delivery", hint)
        self._number = number
        message_id = f"{self._session_id}.{number}"
        message = self._waiting[message_id] = Unconfirmed(message_id, data, kind)
        try:
            yield message
        finally:
            del self._waiting[message_id]
            self._resent += max(0, message.sent - 1)
            self._confirmed += message.confirmed
            self._failed += not message.confirmed

    def confirm(self, message_id: str) -> None:
        """The agent's bridge has this message; an unknown id changes nothing."""
        message = self._waiting.get(message_id)
        if message is not None:
            message.confirmed = True
            message.wake()

    def wake(self) -> None:
        """Make every sender look again."""
        for message in self._waiting.values():
            message.wake()

    def statistics(self) -> DeliveryStatistics:
        """Count what waits, and what became of the others."""
        return DeliveryStatistics(
            len(self), self._confirmed, self._failed, self._resent, self._refused
        )


def _number(message_id: str) -> int:
    return int(message_id.rpartition(".")[2])
