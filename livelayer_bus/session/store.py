"""The bus as a session configures it, and the ways in which a session reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar, cast, final

from ..bus import Bus, Subscription
from ..errors import ClosedError, Lagged, StaleCursorError
from ..events import Event
from ..state import REDUCERS, SessionState

E = TypeVar("E", bound=Event)
Events: TypeAlias = Subscription[Event, SessionState]

_SHOWN: Final = 100  # characters of a wrong cursor in an error


@final
class Store:
    """What a session knows, and the bus that reports each change of it."""

    def __init__(self, state: SessionState, *, capacity: int, max_bytes: int) -> None:
        self.bus: Final[Bus[Event, SessionState]] = Bus(
            capacity, max_bytes, state=state, reducers=REDUCERS, as_of=SessionState.as_of
        )
        self.bus.restart(state.sequence, state)
        self.publish: Final = cast("Callable[[Event], None]", self.bus.publish)
        """Reduce an event into the state and append it to the bus; on error neither happens."""

    @property
    def state(self) -> SessionState:
        """What is known, as of the newest event."""
        return self.bus.state

    def publish_late(self, event: Event) -> None:
        """Publish from a task that may outlive the session: nothing happens once it is closed."""
        if not self.bus.closed:
            self.publish(event)

    def sequence_after(self, cursor: int | str | None) -> int | None:
        """Return the sequence that a cursor means: a number, or `<session id>:<sequence>`.

        Raises:
            StaleCursorError: the cursor belongs to another session, or has another form.
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
        """Return the first state that is `ready`; only events of these types can make it so.

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
    """Return the reader's next event (None: the bus is closed), and what it missed before, if any.

    A caller that publishes an event about the missed ones does so with the next event in hand.
    Published before it was taken, that event would push it out of a full ring, and so on.
    """
    missed = 0
    while True:
        try:
            event = await anext(reader, None)
        except Lagged as lagged:
            missed += lagged.missed
        else:
            return event, Lagged(missed) if missed else None
