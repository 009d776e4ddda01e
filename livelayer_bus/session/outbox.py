"""Data messages to the agent: in order, each one sent or refused with a typed error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias, final
from uuid import uuid4

import anyio
import msgspec

from .. import events
from ..contract import Outgoing
from ..errors import (
    ClosedError,
    MessageTooLargeError,
    MisuseError,
    NotConnectedError,
    RequestTimeoutError,
    SendTimeoutError,
    not_connected,
)
from ..events import DataReceived, DataSent, Event
from ..messages import Message, RawMessage, WireMessage, encode, request_id, type_of
from ..rooms.port import RoomPort
from ..state import SessionState
from .connection import Connection
from .store import Events, Store, take_next

HandOver: TypeAlias = Callable[[RoomPort, tuple[str, ...]], Awaitable[None]]

# Events that can make a waiting message ready, or end its wait with an error.
_TURNS: tuple[type[Event], ...] = (
    events.AgentAvailabilityChanged,
    events.ConnectionStateChanged,
    events.EpochStarted,
    events.Reconnected,
    events.Reconnecting,
)

# Events that end the wait for an answer: the room was left, or the agent was switched.
_ENDS: tuple[type[Event], ...] = (events.ConnectionStateChanged, events.EpochStarted)


@final
class Outbox:
    """Sends one message at a time, in the order of the calls."""

    def __init__(self, store: Store, connection: Connection, max_message_bytes: int) -> None:
        self._store = store
        self._connection = connection
        self._limit: Final = max_message_bytes
        self._turn = anyio.Lock()

    async def send(self, message: Outgoing, timeout: float, require_agent: bool) -> None:
        """See `Session.send_data`."""
        data = encode(message)
        if len(data) > self._limit:
            raise MessageTooLargeError(len(data), self._limit)

        async def hand_over(port: RoomPort, to: tuple[str, ...]) -> None:
            await port.send(data, to=to)
            self._store.publish_late(DataSent(payload=msgspec.Raw(data), type=type_of(message)))

        await self._deliver(hand_over, timeout, require_agent)

    async def send_text(self, text: str, topic: str, timeout: float) -> None:
        """Send `text` to the agent as a LiveKit text stream."""

        async def hand_over(port: RoomPort, to: tuple[str, ...]) -> None:
            await port.send_text(text, topic=topic, to=to)

        await self._deliver(hand_over, timeout, require_agent=True)

    async def request(
        self, message: Outgoing, reply: type[WireMessage] | str, timeout: float
    ) -> Message:
        """See `Session.request`."""
        message, request = _numbered(message)
        wanted = reply if isinstance(reply, str) else reply.wire_type()
        epoch = self._store.state.epoch
        deadline = anyio.current_time() + timeout
        with self._store.bus.subscribe(DataReceived, *_ENDS) as reader:
            await self.send(message, timeout, require_agent=True)
            try:
                with anyio.fail_after(max(0.0, deadline - anyio.current_time())):
                    return await self._find_answer(reader, epoch, wanted, request)
            except TimeoutError as error:
                raise RequestTimeoutError(type_of(message), request, timeout) from error

    async def _find_answer(self, reader: Events, epoch: int, wanted: str, request: str) -> Message:
        while True:
            event, lagged = await take_next(reader)
            if event is None:
                raise ClosedError("this session")
            if lagged is not None or not isinstance(event, DataReceived):
                self._require_room(epoch)  # the event that says so may be among those missed
            answer = _answer(event, wanted, request)
            if answer is not None:
                return answer

    async def _deliver(self, hand_over: HandOver, timeout: float, require_agent: bool) -> None:
        self._require_room(self._store.state.epoch)
        epoch = self._store.state.epoch
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
            reason = waiting_for or _obstacle(self._store.state, require_agent) or UNCONFIRMED
            raise SendTimeoutError(timeout, reason, handed_over=handed_over) from error

    async def _ready(self, epoch: int, require_agent: bool) -> tuple[RoomPort, tuple[str, ...]]:
        def settled(state: SessionState) -> bool:
            self._require_room(epoch)
            return _obstacle(state, require_agent) is None

        state = await self._store.wait_until(settled, *_TURNS)
        port = self._connection.port
        if port is None:
            raise not_connected(state.connection_state, state.error)
        agent = state.agent_identity
        return port, (agent,) if require_agent and agent is not None else ()

    def _require_room(self, epoch: int) -> None:
        state = self._store.state
        if state.epoch != epoch:
            raise NotConnectedError(state.connection_state, "the agent was switched meanwhile")
        if state.connection_state not in ("connecting", "connected"):
            raise not_connected(state.connection_state, state.error)


UNCONFIRMED = "the transport did not confirm it"


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
    """The message with a `requestId`, its own or a new one."""
    request = request_id(message)
    if request is not None:
        return message, request
    request = uuid4().hex
    if isinstance(message, RawMessage):
        return RawMessage(message.type, {**message.fields, "requestId": request}), request
    if isinstance(message, Mapping):
        return {**message, "requestId": request}, request
    if "request_id" not in message.__struct_fields__:
        raise MisuseError(f"{message.wire_type()!r} has no requestId that an answer could name")
    return msgspec.structs.replace(message, request_id=request), request


def _answer(event: Event, wanted: str, request: str) -> Message | None:
    if not isinstance(event, DataReceived) or not event.from_agent or event.type != wanted:
        return None
    answer = event.message  # None: reported as a `MalformedMessage`
    return answer if answer is not None and request_id(answer) == request else None
