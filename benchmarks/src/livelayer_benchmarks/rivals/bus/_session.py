"""The bus under test: the one of a session, as every session configures it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from livelayer_bus.bus import Subscription
from livelayer_bus.events import CommandReceived, DataReceived, Event
from livelayer_bus.session import Session
from livelayer_bus.state import SessionState
from livelayer_bus.tokens import LiteralToken

from ._readers import Publish

Subscribe: TypeAlias = Callable[[], Subscription[Event, SessionState]]
"""Returns a reader, as a surface gets it."""


@asynccontextmanager
async def session_bus() -> AsyncGenerator[tuple[Publish, Subscribe]]:
    """An open session that is not connected, with what a mounted surface adds to its bus.

    It has the weights, the reducers and the bounds of every session. Two readers with a filter are
    there beside those that are measured: the session's own, which waits for results of commands,
    and the one that each mounted surface has for its commands.
    """
    async with Session("bench", tokens=LiteralToken("ws://127.0.0.1:1", "none")) as session:
        # The event is published as the session itself does it; nothing public publishes any event.
        store = session._store  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        with session.subscribe(CommandReceived, DataReceived):
            yield store.publish, session.subscribe
