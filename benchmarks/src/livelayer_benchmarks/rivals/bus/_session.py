"""The bus under test: the one of a session, as every session configures it."""

from __future__ import annotations

from collections.abc import Callable

from livelayer_bus.bus import Subscription
from livelayer_bus.events import CommandReceived, DataReceived, Event
from livelayer_bus.session import Session
from livelayer_bus.state import SessionState
from livelayer_bus.tokens import LiteralToken


class SessionBus:
    """An open session that is not connected, with what a mounted surface adds to its bus.

    It has the weights, the reducers and the bounds of every session. Two readers with a filter are
    there beside those that are measured: the session's own, which waits for results of commands,
    and the one that each mounted surface has for its commands.
    """

    def __init__(self) -> None:
        self._session = Session("bench", tokens=LiteralToken("ws://127.0.0.1:1", "none"))
        self._surface: Subscription[Event, SessionState] | None = None
        # The event is published as the session itself does it; nothing public publishes any event.
        store = self._session._store  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self.publish: Callable[[Event], object] = store.publish

    async def open(self) -> None:
        """Open the session; `publish` works from then on."""
        await self._session.__aenter__()
        self._surface = self.subscribe(CommandReceived, DataReceived)
        self._surface.__enter__()

    def subscribe(self, *types: type[Event]) -> Subscription[Event, SessionState]:
        """Return a reader, as a surface gets it."""
        return self._session.subscribe(*types)

    async def close(self) -> None:
        """Close the session."""
        if self._surface is not None:
            self._surface.__exit__(None, None, None)
        await self._session.aclose()
