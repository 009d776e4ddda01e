"""State and bus, changed in one synchronous step: what makes snapshot and tail exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar, final

from ..bus.bus import Bus, Subscription
from ..errors import ClosedError, Lagged, StaleCursorError
from ..events import Event, weigh
from ..state import SessionState, reduce

E = TypeVar("E", bound=Event)
Events: TypeAlias = Subscription[Event, SessionState]

_SHOWN: Final = 100  # characters of a wrong cursor in an error


@final
class Store:
    """Holds what a session knows, and tells everybody who listens."""

    def __init__(self, state: SessionState, *, capacity: int, max_bytes: int) -> None:
        self.state = state
        self.bus: Final[Bus[Event, SessionState]] = Bus(
            capacity, max_bytes, weigh=weigh, snapshot=lambda: self.state
        )

    def publish(self, event: Event) -> None:
        """Reduce `event` into the state and append it to the bus; on error neither happened."""
        state = reduce(self.state, event)
        self.bus.publish(event)
        self.state = state

    def publish_late(self, event: Event) -> None:
        """Publish from a task that may outlive the session: nothing happens once it is closed."""
        if not self.bus.closed:
            self.publish(event)

    def sequence_after(self, cursor: int | str | None) -> int | None:
        """The sequence that a cursor means: a number, or `<session id>:<sequence>`.

        Raises:
            StaleCursorError: the cursor belongs to another session, or is none.
        """
        if not isinstance(cursor, str):
            return cursor
        owner, _, sequence = cursor.rpartition(":")
        if owner != self.state.id:
            raise StaleCursorError(repr(cursor[:_SHOWN]), "it belongs to another session")
        # At most 19 digits, as a 64-bit number has: int() refuses a text of thousands.
        if not (sequence.isascii() and sequence.isdigit() and len(sequence) < 20):
            raise StaleCursorError(repr(cursor[:_SHOWN]), "it does not end in a sequence")
        return int(sequence)

    async def wait_until(
        self, ready: Callable[[SessionState], bool], *types: type[Event]
    ) -> SessionState:
        """Return the first state that is `ready`; it can only become so by these events.

        Raises:
            ClosedError: the session was closed before.
        """
        with self.bus.subscribe(*types) as events:
            while not ready(self.state):
                event, _ = await take_next(events)
                if event is None:
                    raise ClosedError("this session")
            return self.state


async def take_next(reader: Subscription[E, SessionState]) -> tuple[E | None, Lagged | None]:
    """The reader's next event (None: the bus is closed), and what was missed before it, if any.

    Whoever publishes that something was missed does it with the next event in hand: published
    before, it would push that event out of a full ring, and so on to the ring's end.
    """
    missed = 0
    while True:
        try:
            event = await anext(reader, None)
        except Lagged as lagged:
            missed += lagged.missed
        else:
            return event, Lagged(missed) if missed else None
