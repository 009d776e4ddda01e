"""A real NATS server, and what the tests do with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import anyio
import livelayer_nats
import nats
from livelayer_nats import NatsBridge
from nats.aio.client import Client

from livelayer_bus import ControlledSession, Event, Lagged, Session, Subscription
from livelayer_bus.testing import PATIENCE, ScriptedRoom, ScriptedRooms

E = TypeVar("E", bound=Event)


class NatsServer(livelayer_nats.NatsServer):
    """One server with its own port and folder, killed and started at will."""

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncGenerator[Client]:
        """A plain client."""
        client = await nats.connect(self.url, **options)
        try:
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def owned(
    server: NatsServer,
    bridge: NatsBridge | None = None,
    *,
    capabilities: Iterable[str] = (),
    capacity: int = 4096,
) -> AsyncGenerator[tuple[Session, ScriptedRooms]]:
    """A session with a bridge."""
    rooms = ScriptedRooms(agent="agent")
    async with Session("agt_1", tokens=rooms.tokens, room=rooms, capacity=capacity) as session:
        session.mount(bridge or NatsBridge(server.url), key="nats", capabilities=capabilities)
        yield session, rooms


async def joined(session: Session, rooms: ScriptedRooms) -> ScriptedRoom:
    """Connect; the room that it is in."""
    await session.connect()
    return await rooms.next()


async def caught_up(remote: ControlledSession, sequence: int) -> None:
    """Wait until a remote has the event with this sequence."""
    with anyio.fail_after(PATIENCE), remote.subscribe() as events:
        state = events.snapshot
        while state.sequence < sequence:
            with suppress(Lagged):
                await anext(events)
            state = remote.state


async def event_of(events: Subscription[E, Any], matches: Callable[[E], bool]) -> E:
    """Wait for an event."""
    with anyio.fail_after(PATIENCE):
        while True:
            with suppress(Lagged):
                event = await anext(events)
                if matches(event):
                    return event
