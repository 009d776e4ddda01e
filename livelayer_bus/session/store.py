"""What the parts of a session share: its bus, its tasks and its clock; and ways to read the bus."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self, TypeAlias, TypeVar, cast, final

from ..bus import Bus, Subscription
from ..clock import Clock
from ..contract import DataHandler, Unsubscribe
from ..errors import ClosedError, Lagged, describe, place_of
from ..events import DataReceived, Event, HandlerFailed
from ..messages import Command, RawMessage, is_command
from ..state import REDUCERS, SessionState
from ..tasks import TaskOwner, Timer, fault_of, log_fault

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)
Events: TypeAlias = Subscription[Event, SessionState]


@final
class Store:
    """What a session knows, and the bus that reports each change of it."""

    def __init__(self, state: SessionState, clock: Clock, *, capacity: int, max_bytes: int) -> None:
        self.clock: Final = clock
        self.tasks: Final = TaskOwner()
        self.bus: Final[Bus[Event, SessionState]] = Bus(
            capacity, max_bytes, state=state, reducers=REDUCERS, as_of=SessionState.as_of
        )
        self.bus.restart(state.sequence, state)
        self.publish: Final = cast("Callable[[Event], None]", self.bus.publish)
        """Reduce an event into the state and append it to the bus; on error neither happens."""

    @property
    def state(self) -> SessionState:
        return self.bus.state

    def publish_late(self, event: Event) -> None:
        """Publish from a task that may outlive the session: nothing happens once it is closed."""
        if not self.bus.closed:
            self.publish(event)

    def timer(self, act: Callable[[], Awaitable[None] | None], name: str) -> Timer:
        return Timer(act, name, self.tasks, self.clock)

    async def wait_until(
        self, ready: Callable[[SessionState], bool], *types: type[Event]
    ) -> SessionState:
        """Return the first state that is `ready`, as only events of these types can make it."""
        with self.bus.subscribe(*types) as events:
            while not ready(self.state):
                event, _ = await take_next(events)
                if event is None:
                    raise ClosedError("this session")
            return self.state


async def take_next(reader: Subscription[E, SessionState]) -> tuple[E | None, Lagged | None]:
    """Return the reader's next event (None: the bus is closed), and what it missed before, if any.

    An event about the missed ones is published with the next event in hand: published before, it
    would push that one out of a full ring, and so on.
    """
    missed = 0
    while True:
        try:
            event = await anext(reader, None)
        except Lagged as lagged:
            missed += lagged.missed
        else:
            return event, Lagged(missed) if missed else None


def add_handler(
    handler: DataHandler,
    packets: Subscription[DataReceived, SessionState],
    tasks: TaskOwner,
    report: Callable[[HandlerFailed], object],
) -> Unsubscribe:
    """Call `handler` with every one of the packets, in a task of its own."""
    name = str(getattr(handler, "__qualname__", type(handler).__qualname__))

    def failed(error: BaseException) -> None:
        report(HandlerFailed(name, describe(error), place_of(error)))

    async def run() -> None:
        with suppress(ClosedError):
            while True:
                packet, lagged = await take_next(packets)
                if lagged is not None:
                    failed(lagged)
                if packet is None:
                    return
                error = await fault_of(functools.partial(handler, packet))
                if error is not None:
                    log_fault(logger, f"data handler {name}", error)
                    failed(error)

    task = tasks.start(run, f"handler {name}")

    def unsubscribe() -> None:
        if not task.is_current():
            task.cancel()
        packets.close()  # ends a handler that unsubscribes itself, after this packet

    return unsubscribe


@final
@dataclass(eq=False, repr=False)
class CommandStream:
    """The agent's well-formed commands and unknown messages, in order; one reader at a time."""

    _packets: Subscription[DataReceived, SessionState]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Command | RawMessage:
        """The next one.

        Raises:
            Lagged: some were overwritten unread; iteration goes on with the oldest kept.
        """
        while True:
            packet = await anext(self._packets)
            message = packet.message if packet.from_agent else None
            if isinstance(message, RawMessage) or is_command(message):
                return message

    def close(self) -> None:
        """Stop reading."""
        self._packets.close()
