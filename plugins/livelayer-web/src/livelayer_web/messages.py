"""Messages of pages to the agent: each is sent once, however often it is posted."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, final

from livelayer_bus import ClosedError
from livelayer_bus.errors import MalformedMessageError, MessageTooLargeError, SendTimeoutError
from livelayer_bus.messages import encode
from livelayer_bus.surfaces import SurfaceSession

MAX_REMEMBERED: Final = 4096
"""Ids remembered at once. Beyond that, the oldest is forgotten."""
TYPED: Final = "user_message"


@final
class MessageMemory:
    """The ids of messages that were sent or are being sent. It outlives a surface's restart."""

    def __init__(self, capacity: int = MAX_REMEMBERED) -> None:
        self._capacity = capacity
        self._outcomes: OrderedDict[str, asyncio.Future[None]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._outcomes)

    def find(self, message_id: str) -> asyncio.Future[None] | None:
        """The message's outcome; None if the id is new or its message failed."""
        return self._outcomes.get(message_id)

    def begin(self, message_id: str) -> asyncio.Future[None]:
        """Remember that it is being sent. The caller sets the returned future."""
        outcome = self._outcomes[message_id] = asyncio.get_running_loop().create_future()
        outcome.add_done_callback(_read)
        if len(self._outcomes) > self._capacity:
            self._outcomes.popitem(last=False)
        return outcome

    def forget(self, message_id: str) -> None:
        """Forget a message that was not sent, so that it may be posted again."""
        self._outcomes.pop(message_id, None)


@final
class Messages:
    """Sends the messages of one session's pages.

    Guarantee: an accepted message was sent exactly once: the agent's bridge has it, or, for an
    agent without one, the transport. A second message with the same id is accepted without being
    sent, after the first one. A message that failed may be posted again; a typed line keeps its id
    then, by which a bridge that has it already takes it once.

    Args:
        session: the session that sends them.
        memory: the ids so far.
        max_bytes: of one message's JSON.
    """

    def __init__(self, session: SurfaceSession, memory: MessageMemory, max_bytes: int) -> None:
        self._session = session
        self._memory = memory
        self._max_bytes = max_bytes
        self.sent = 0
        self.repeated = 0
        """Posted again, and not sent again."""
        self.failed = 0

    async def send(self, message_id: str, message: Mapping[str, Any]) -> None:
        """Return when it was sent, as the class says.

        Raises:
            MalformedMessageError: it is not a message, or a `user_message` without text.
            MessageTooLargeError: its JSON is longer than `max_bytes`.
            NotConnectedError, SendTimeoutError, BrokenError: it was not sent, or not confirmed.
            BusyError: too many messages wait for their confirmation.
        """
        known = self._memory.find(message_id)
        if known is not None:
            await asyncio.wait({known})
            if known.cancelled():
                raise ClosedError("this surface", "post the message again")
            known.result()
            self.repeated += 1
            return
        size = len(encode(message))
        if size > self._max_bytes:
            raise MessageTooLargeError(size, self._max_bytes)
        outcome = self._memory.begin(message_id)
        try:
            await self._send(message_id, message)
        except BaseException as error:
            self.failed += 1
            self._memory.forget(message_id)
            if isinstance(error, Exception):
                outcome.set_exception(error)
            else:
                outcome.cancel()
            raise
        self.sent += 1
        outcome.set_result(None)

    async def _send(self, message_id: str, message: Mapping[str, Any]) -> None:
        try:
            if message["type"] != TYPED:
                await self._session.send_data(message, confirm=None)
                return
            text = message.get("text")
            if not isinstance(text, str) or not text.strip():
                raise MalformedMessageError(TYPED, "it needs a non-empty text")
            await self._session.send_text(text, line_id=message_id)
        except SendTimeoutError as error:
            # The transport has it and may still deliver it. An agent without a bridge could not
            # tell a second one from it, so it must not be sent again.
            if error.confirming or not error.handed_over:
                raise


def _read(outcome: asyncio.Future[None]) -> None:
    """Mark the error as retrieved: the caller that posted the message has it."""
    if not outcome.cancelled():
        outcome.exception()
