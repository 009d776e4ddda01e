"""Data messages to the agent: in order, each one sent, or confirmed, or a typed error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from typing import Final, TypeAlias, final
from uuid import uuid4

import anyio
import msgspec

from .. import errors, events
from ..contract import Outgoing
from ..messages import Message, RawMessage, WireMessage, encode, request_id, type_of
from ..rooms import names
from ..rooms.port import RoomPort
from ..state import SessionState
from .connection import ANNOUNCE_SECONDS, Connection
from .store import Store, take_next

RESEND_SECONDS: Final = 1.0  # until a message is sent again; doubled each time
MAX_PAUSE: Final = 8.0  # seconds

HandOver: TypeAlias = Callable[[RoomPort, tuple[str, ...]], Awaitable[None]]

# Events that end the wait for an answer: the room was left, or the agent was switched.
_ENDS: tuple[type[events.Event], ...] = (events.ConnectionStateChanged, events.EpochStarted)

# Events that can make a waiting message ready, or end its wait with an error.
_TURNS: tuple[type[events.Event], ...] = (
    *_ENDS,
    events.AgentAvailabilityChanged,
    events.Reconnected,
    events.Reconnecting,
)


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
class Unconfirmed(msgspec.Struct, eq=False):
    """One message that waits for its confirmation."""

    number: int
    topic: str
    data: bytes
    type: str | None
    confirmed: bool = False
    sent: int = 0
    handed_over: bool = False  # the transport was given it, and may have it
    _visit: object = None
    _pause: float = 0.0
    _due: float = 0.0
    _changed: anyio.Event = msgspec.field(default_factory=anyio.Event)

    def is_due(self, visit: object, now: float) -> bool:
        """Whether to send it: an agent that is new here lacks it, or a pause has passed."""
        return not self.confirmed and (visit != self._visit or now >= self._due)

    def note(self, visit: object, now: float, *, sent: bool) -> None:
        """It was `sent` or refused now: it is not due for a while."""
        again = visit == self._visit and sent
        self._pause = min(2 * self._pause, MAX_PAUSE) if again else RESEND_SECONDS
        self._visit, self._due = visit, now + self._pause
        self.sent += sent

    def wake(self) -> None:
        self._changed.set()

    async def changed(self) -> None:
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
        waiting = tuple(self._waiting.values())
        return takewhile(lambda message: message.number <= newest.number, waiting)

    @contextmanager
    def expect(self, data: bytes, kind: str | None) -> Generator[Unconfirmed]:
        """Number a message, and keep it for the block.

        `BusyError`: a bridge could not tell a repetition of the oldest one any more.
        """
        number = self._number + 1
        oldest = next(iter(self._waiting.values()), None)
        if oldest is not None and number - oldest.number >= names.CONFIRM_WINDOW:
            self._refused += 1
            hint = f"{len(self)} messages wait for their confirmation; send fewer at once"
            raise errors.BusyError("confirmed delivery", hint)
        self._number = number
        message_id = f"{self._session_id}.{number}"
        message = Unconfirmed(number, names.CONFIRM_TOPIC + message_id, data, kind)
        self._waiting[message_id] = message
        try:
            yield message
        finally:
            del self._waiting[message_id]
            self._resent += max(0, message.sent - 1)
            self._confirmed += message.confirmed
            self._failed += not message.confirmed

    def confirm(self, message_id: str) -> None:
        message = self._waiting.get(message_id)
        if message is not None:
            message.confirmed = True
            message.wake()

    def wake(self) -> None:
        for message in self._waiting.values():
            message.wake()

    def statistics(self) -> DeliveryStatistics:
        counts = self._confirmed, self._failed, self._resent, self._refused
        return DeliveryStatistics(len(self), *counts)


@final
class Outbox:
    """Sends one message at a time, in the order of the calls.

    A message to confirm is sent again, before any newer one, when the agent may not have it: to an
    agent that is new in the room or came back to it, and after pauses of 1, 2, 4 and 8 seconds.
    """

    def __init__(
        self, store: Store, connection: Connection, confirmations: Confirmations, max_bytes: int
    ) -> None:
        self._store = store
        self._connection = connection
        self._confirmations = confirmations
        self._limit: Final = max_bytes
        self._resend = store.timer(self._look_again, "send again")
        self._turn = anyio.Lock()

    async def send(
        self,
        message: Outgoing,
        timeout: float,
        require_agent: bool = True,
        confirm: bool | None = False,
    ) -> None:
        data, kind = encode(message), type_of(message)
        if len(data) > self._limit:
            raise errors.MessageTooLargeError(len(data), self._limit)
        if confirm and not require_agent:
            hint = "the agent's bridge confirms"
            raise errors.MisuseError(f"confirm=True needs require_agent=True: {hint}")
        if confirm or (confirm is None and require_agent and self._store.state.agent_confirms):
            try:
                with self._confirmations.expect(data, kind) as expected:
                    if await self._confirm(expected, timeout, insist=bool(confirm)):
                        return
            finally:
                if not self._confirmations:
                    self._resend.stop()

        async def hand_over(port: RoomPort, to: tuple[str, ...]) -> None:
            await port.send(data, to=to)
            self._report_sent(data, kind)

        await self._deliver(hand_over, timeout, require_agent)

    def _report_sent(self, data: bytes, kind: str | None) -> None:
        self._store.publish_late(events.DataSent(payload=msgspec.Raw(data), type=kind))

    async def send_text(self, text: str, topic: str, timeout: float) -> None:
        await self._deliver(
            lambda port, to: port.send_text(text, topic=topic, to=to), timeout, require_agent=True
        )

    async def request(
        self, message: Outgoing, reply: type[WireMessage] | str, timeout: float
    ) -> Message:
        message, request = _numbered(message)
        wanted = reply if isinstance(reply, str) else reply.wire_type()
        epoch = self._store.state.epoch
        deadline = anyio.current_time() + timeout
        with self._store.bus.subscribe(events.DataReceived, *_ENDS) as reader:
            await self.send(message, timeout, confirm=None)
            try:
                with anyio.fail_after(max(0.0, deadline - anyio.current_time())):
                    while True:
                        event, lagged = await take_next(reader)
                        if event is None:
                            raise errors.ClosedError("this session")
                        if lagged is not None or not isinstance(event, events.DataReceived):
                            self._require_room(epoch)  # the event that says so may be missed
                        answer = _answer(event, wanted, request)
                        if answer is not None:
                            return answer
            except TimeoutError as error:
                raise errors.RequestTimeoutError(type_of(message), request, timeout) from error

    async def watch(self) -> None:
        """Look at what is not confirmed at each change of room or agent, until the end."""
        with self._store.bus.subscribe(*_TURNS) as turns:
            while (await take_next(turns))[0] is not None:
                self._confirmations.wake()
            self._confirmations.wake()

    def _look_again(self) -> None:
        self._confirmations.wake()
        if self._confirmations:
            self._resend.start(RESEND_SECONDS)

    async def _confirm(self, message: Unconfirmed, timeout: float, *, insist: bool) -> bool:
        """Return when the agent's bridge has `message`; False, or an error: it does not confirm."""
        epoch = self._store.state.epoch
        try:
            with self._limited(timeout):
                while not message.confirmed:
                    self._require_room(epoch)
                    if not message.is_due(self._connection.visit, self._store.clock.now()):
                        await message.changed()
                    elif not await self._take_turn(epoch, message):
                        if not insist:
                            return False
                        await self._wait_announced(epoch)
        except TimeoutError as error:
            state = self._store.state
            lack = "confirmed it" if state.agent_confirms else "announced that it confirms messages"
            reason = _obstacle(state, require_agent=True) or f"the agent has not {lack}"
            raise errors.SendTimeoutError(
                timeout, reason, handed_over=message.handed_over, confirming=True
            ) from error
        return True

    async def _wait_announced(self, epoch: int) -> None:
        """Return when the agent confirms messages, or has left.

        An agent is not supported that does neither for a second after it is ready.
        """

        def settled(state: SessionState) -> bool:
            self._require_room(epoch)
            return state.agent_confirms or not state.agent_active

        await self._store.wait_until(lambda state: settled(state) or state.agent_ready, *_TURNS)
        try:
            with self._limited(ANNOUNCE_SECONDS):
                await self._store.wait_until(settled, *_TURNS)
        except TimeoutError:
            agent = "an agent without a SurfaceBridge"
            raise errors.NotSupportedError("confirmed delivery", agent) from None

    async def _take_turn(self, epoch: int, newest: Unconfirmed) -> bool:
        """Send what is due up to `newest` once the agent is active; False if it does not confirm.

        What the transport refuses is due again after a pause, and what would follow it too.
        """
        async with self._turn:
            port, to = await self._ready(epoch, require_agent=True)
            if not self._store.state.agent_confirms:
                return False
            visit, broken = self._connection.visit, False
            for message in self._confirmations.until(newest):
                if not message.is_due(visit, self._store.clock.now()):
                    continue
                if not broken:
                    handed_over, message.handed_over = message.handed_over, True
                    try:
                        await port.send(message.data, topic=message.topic, to=to)
                    except errors.BrokenError:
                        broken, message.handed_over = True, handed_over
                message.note(visit, self._store.clock.now(), sent=not broken)
                if message.sent == 1 and not broken:
                    self._report_sent(message.data, message.type)
            if not self._resend.running:
                self._resend.start(RESEND_SECONDS)
        return True

    @contextmanager
    def _limited(self, seconds: float) -> Generator[None]:
        """As `anyio.fail_after`, on the session's clock."""
        with anyio.CancelScope() as scope:
            timer = self._store.timer(scope.cancel, "time limit")
            timer.start(seconds)
            try:
                yield
            finally:
                timer.stop()
        if scope.cancelled_caught:
            raise TimeoutError

    async def _deliver(self, hand_over: HandOver, timeout: float, require_agent: bool) -> None:
        epoch = self._store.state.epoch
        self._require_room(epoch)
        waiting_for = "earlier messages are still being sent"
        handed_over = False
        try:
            with anyio.fail_after(timeout):
                async with self._turn:
                    waiting_for = ""
                    port, to = await self._ready(epoch, require_agent)
                    handed_over = True
                    await hand_over(port, to)
        except TimeoutError as error:
            unconfirmed = "the transport did not confirm it"
            reason = waiting_for or _obstacle(self._store.state, require_agent) or unconfirmed
            raise errors.SendTimeoutError(timeout, reason, handed_over=handed_over) from error

    async def _ready(self, epoch: int, require_agent: bool) -> tuple[RoomPort, tuple[str, ...]]:
        def settled(state: SessionState) -> bool:
            self._require_room(epoch)
            return _obstacle(state, require_agent) is None

        state = await self._store.wait_until(settled, *_TURNS)
        port = self._connection.port
        if port is None:
            raise errors.not_connected(state.connection_state, state.error)
        agent = state.agent_identity
        return port, (agent,) if require_agent and agent is not None else ()

    def _require_room(self, epoch: int) -> None:
        state = self._store.state
        if state.epoch != epoch:
            reason = "the agent was switched meanwhile"
            raise errors.NotConnectedError(state.connection_state, reason)
        if state.connection_state not in ("connecting", "connected"):
            raise errors.not_connected(state.connection_state, state.error)


def _obstacle(state: SessionState, require_agent: bool) -> str | None:
    """What a message waits for in this state; None when it can be sent."""
    if state.connection_state == "connecting":
        return "the session is still connecting"
    if state.reconnecting:
        return "the session is reconnecting"
    if require_agent and not state.agent_active:
        joined = state.agent_identity is not None
        return "the agent has joined but is not active yet" if joined else "no agent has joined"
    return None


def _numbered(message: Outgoing) -> tuple[Outgoing, str]:
    request = request_id(message)
    if request is not None:
        return message, request
    request = uuid4().hex
    if isinstance(message, RawMessage):
        return RawMessage(message.type, {**message.fields, "requestId": request}), request
    if isinstance(message, Mapping):
        return {**message, "requestId": request}, request
    if "request_id" not in message.__struct_fields__:
        kind = message.wire_type()
        raise errors.MisuseError(f"{kind!r} has no requestId that an answer could name")
    return msgspec.structs.replace(message, request_id=request), request


def _answer(event: events.Event, wanted: str, request: str) -> Message | None:
    match event:
        case events.DataReceived(from_agent=True, type=kind) if kind == wanted:
            answer = event.message  # None: reported as a `MalformedMessage`
            return answer if answer is not None and request_id(answer) == request else None
        case _:
            return None
