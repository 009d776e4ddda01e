"""The agent's end of LiveLayer's data messages, until the plugin for livekit-agents takes over."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, TypeAlias

from livekit import rtc

from livelayer_bus.demo.guide import Outcome

ANSWER_SECONDS: Final = 3.0
"""How long a command's result, or a page's context, is waited for."""
PENDING_SECONDS: Final = 10.0
"""How long a page's context is waited for once the page said that it is coming."""
OUTBOX_LIMIT: Final = 256
MAX_USER_TEXT: Final = 2_000

Message: TypeAlias = Mapping[str, object]
_LOG = logging.getLogger(__name__)
_FORM_RESULTS: Final = ("form_submitted", "form_submit_blocked")


@dataclass(frozen=True, slots=True)
class WireStatistics:
    """What went over the wire.

    `sent` messages were taken by the transport, `failed` were not, `dropped` did not even fit into
    the outbox; `received` were understood, `malformed` were not JSON objects with a `type`.
    """

    sent: int = 0
    failed: int = 0
    dropped: int = 0
    received: int = 0
    malformed: int = 0


@dataclass(slots=True)
class _Pending:
    command: str
    request_id: str | None
    answer: asyncio.Future[tuple[Outcome, object]]
    wants_context: bool = False
    deadline: asyncio.Timeout | None = field(default=None, repr=False)


class WireBridge:
    """Sends and understands LiveLayer's messages in one room.

    Messages are sent reliably and in the order of `send`, by one task (`run`). A participant
    that becomes active after `announce` is told what the others know already: that the agent is
    ready, its state, and whether the avatar streams. At most `OUTBOX_LIMIT` messages wait; what
    comes beyond that is dropped and counted.
    """

    def __init__(
        self,
        room: rtc.Room,
        *,
        on_user_message: Callable[[str], None],
        on_notice: Callable[[Message], None],
    ) -> None:
        """
        Args:
            room: The agent's room.
            on_user_message: Called on the loop with each typed line of a user.
            on_notice: Called on the loop with each other message that answers no request.
        """
        self._room = room
        self._on_user_message = on_user_message
        self._on_notice = on_notice
        self._outbox: deque[tuple[bytes, list[str]]] = deque()
        self._wake = asyncio.Event()
        self._pending: list[_Pending] = []
        self._ids = count(1)
        self._announced = False
        self._state = "idle"
        self._sent = self._failed = self._dropped = self._received = self._malformed = 0

    def open(self) -> None:
        """Start to listen; `close` ends it."""
        self._room.on("data_received", self._on_data)
        self._room.on("participant_active", self._on_participant_active)

    def close(self) -> None:
        """Stop listening; whoever waits for an answer is told that there will be none."""
        self._room.off("data_received", self._on_data)
        self._room.off("participant_active", self._on_participant_active)
        for pending in self._pending:
            if not pending.answer.done():
                pending.answer.set_result((Outcome.SILENCE, None))

    def statistics(self) -> WireStatistics:
        """What has been sent and received so far."""
        return WireStatistics(
            self._sent, self._failed, self._dropped, self._received, self._malformed
        )

    async def run(self) -> None:
        """Send what `send` queued, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox:
                payload, identities = self._outbox.popleft()
                try:
                    await self._room.local_participant.publish_data(
                        payload, reliable=True, destination_identities=identities
                    )
                except rtc.participant.PublishDataError:
                    self._failed += 1
                    _LOG.warning("a data message of %d bytes was not sent", len(payload))
                else:
                    self._sent += 1

    def send(self, message: Message, *, to: str | None = None) -> None:
        """Queue a message for everybody, or for one participant; never waits."""
        if len(self._outbox) >= OUTBOX_LIMIT:
            self._dropped += 1
            return
        self._outbox.append((json.dumps(message).encode(), [to] if to else []))
        self._wake.set()

    def announce(self) -> None:
        """Tell everybody, also those who come later, that the agent is ready and its avatar on."""
        self._announced = True
        self._introduce(None)

    def set_state(self, state: str) -> None:
        """Tell everybody the agent's state, if it is a new one."""
        known = "idle" if state == "initializing" else state
        if known == self._state:
            return
        speaking = "speaking" in (known, self._state)
        self._state = known
        if not self._announced:
            return
        self.send({"type": "agent_state", "state": known})
        if speaking:
            self.send({"type": "avatar_active" if known == "speaking" else "avatar_idle"})

    async def command(
        self, command: str, fields: Message, *, timeout: float = ANSWER_SECONDS
    ) -> Outcome:
        """Send a command and return what became of it; `SILENCE` if nobody said in `timeout` s."""
        request_id = self._next_id() if command == "submit_form" else None
        outcome, _ = await self._ask(_pending(command, request_id), fields, timeout)
        return outcome

    async def page_context(self, *, timeout: float = ANSWER_SECONDS) -> tuple[Outcome, object]:
        """Ask for what the page shows; its context is given with `DONE` only."""
        pending = _pending("request_page_context", self._next_id())
        pending.wants_context = True
        return await self._ask(pending, {}, timeout)

    async def _ask(
        self, pending: _Pending, fields: Message, timeout: float
    ) -> tuple[Outcome, object]:
        extra = {"requestId": pending.request_id} if pending.request_id else {}
        self._pending.append(pending)
        self.send({"type": pending.command, **fields, **extra})
        try:
            async with asyncio.timeout(timeout) as pending.deadline:
                return await pending.answer
        except TimeoutError:
            return Outcome.SILENCE, None
        finally:
            self._pending.remove(pending)

    def _next_id(self) -> str:
        return f"demo-{next(self._ids)}"

    def _introduce(self, identity: str | None) -> None:
        self.send({"type": "bot_ready"}, to=identity)
        self.send({"type": "avatar_stream_ready"}, to=identity)
        self.send({"type": "agent_state", "state": self._state}, to=identity)

    def _on_participant_active(self, participant: rtc.RemoteParticipant) -> None:
        if self._announced:
            self._introduce(participant.identity)

    def _on_data(self, packet: rtc.DataPacket) -> None:
        if (packet.topic or "").startswith("lk."):
            return
        message = _decode(packet.data)
        if message is None:
            self._malformed += 1
            return
        self._received += 1
        kind = message["type"]
        if kind == "user_message":
            text = message.get("text")
            if isinstance(text, str) and text.strip():
                self._on_user_message(text[:MAX_USER_TEXT])
        elif kind == "page_context_pending":
            self._extend(message)
        elif not self._settle(message):
            self._on_notice(message)

    def _extend(self, message: Message) -> None:
        pending = self._find("request_page_context", message.get("requestId"))
        if pending is not None and pending.deadline is not None:
            pending.deadline.reschedule(asyncio.get_running_loop().time() + PENDING_SECONDS)

    def _settle(self, message: Message) -> bool:
        """Give an answer to whoever asked; False if the message answers nothing."""
        kind, request_id = message["type"], message.get("requestId")
        if kind == "page_context":
            return self._resolve(
                "request_page_context", request_id, Outcome.DONE, message.get("context")
            )
        if kind in _FORM_RESULTS:
            # Only an answer to this very request: a person may send a form at any time.
            if request_id is None:
                return False
            return self._resolve("submit_form", request_id, _form_outcome(message))
        if kind != "command_result":
            return False
        outcome = _outcome(message)
        pending = self._find(message.get("command"), request_id)
        if pending is not None and not (pending.wants_context and outcome is Outcome.DONE):
            self._give(pending, outcome, None)
        return True

    def _resolve(
        self, command: str, request_id: object, outcome: Outcome, value: object = None
    ) -> bool:
        pending = self._find(command, request_id)
        if pending is None:
            return False
        self._give(pending, outcome, value)
        return True

    def _find(self, command: object, request_id: object) -> _Pending | None:
        """The request an answer belongs to: by its id if the answer has one, else the oldest."""
        for pending in self._pending:
            if pending.answer.done() or pending.command != command:
                continue
            if request_id is None or request_id == pending.request_id:
                return pending
        return None

    @staticmethod
    def _give(pending: _Pending, outcome: Outcome, value: object) -> None:
        pending.answer.set_result((outcome, value))


def _pending(command: str, request_id: str | None) -> _Pending:
    return _Pending(command, request_id, asyncio.get_running_loop().create_future())


def _decode(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return None
    return value


def _form_outcome(message: Message) -> Outcome:
    if message["type"] == "form_submitted":
        return Outcome.DONE
    return Outcome.BLOCKED if message.get("reason") == "validation" else Outcome.FAILED


def _outcome(message: Message) -> Outcome:
    if message.get("ok") is True:
        return Outcome.DONE
    reason = message.get("reason")
    known = (Outcome.REFUSED, Outcome.INVALID, Outcome.TIMEOUT)
    return next((outcome for outcome in known if outcome.value == reason), Outcome.FAILED)
