"""Owning a session by its name: at once, or when its owner is gone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, final

from livelayer_bus import ClosedError, MisuseError, SessionState

from .bridge import Claimed, NatsBridge
from .connection import Persistence
from .errors import NoSuchSessionError
from .log import LogWriter, NotCaughtUpError
from .ownership import Lease, Ownership
from .remote import RemoteSession
from .store import SessionStore, Stored
from .wire import End, check_name, split


@final
class Takeover:
    """A session that this process owns from now on; see `take_over`."""

    def __init__(self, state: SessionState, room_name: str | None, bridge: NatsBridge) -> None:
        self.state: Final = state
        """`Session(..., continues=...)`."""
        self.room_name: Final = room_name
        """`Session(..., prior_room_name=...)`."""
        self.bridge: Final = bridge
        """Mount it on that session; when it ends, the session belongs to another process."""


@asynccontextmanager
async def take_over(bridge: NatsBridge, session_id: str, agent_id: str) -> AsyncGenerator[Takeover]:
    """Wait until nobody owns the session, and own it: the way to start one that may outlive us.

        async with take_over(NatsBridge(url), "front-desk", "agt_1") as taken:
            async with Session(
                "agt_1", tokens=..., continues=taken.state, prior_room_name=taken.room_name
            ) as session:
                mounted = session.mount(taken.bridge, key="nats")
                await session.connect()
                await mounted.wait()  # it ends when the session is another's

    The first process begins the session, every other one waits here. When the owner has not renewed
    its lease for `lease_seconds`, one of them goes on with its id, sequence, transcript and room.
    Give all of them a token source with the same identity (`LocalKeys(identity=...)`): LiveKit then
    removes a former owner that is still in the room.

    Args:
        bridge: says where NATS is; mount it on the session.
        session_id: the session's name: letters, digits, `_` and `-`.
        agent_id: its agent, if it begins here.

    Raises:
        NatsError: NATS refuses this user.
    """
    check_name("the session's id", session_id)
    async with bridge.opened("standby", session_id) as store:
        persist = Persistence(store.link, lambda _: None)
        await persist(lambda: store.ensure(bridge.limits))
        lease = Lease(store, session_id, bridge.lease_seconds)
        left = await lease.take(wait=True)
        state, snapshot = await _claim(store, persist, lease, session_id, agent_id)
        bridge.lease, bridge.claimed = lease, Claimed(state.sequence, snapshot)
        yield Takeover(state, _room_of(left), bridge)


def _room_of(left: Ownership | None) -> str | None:
    return None if left is None else left.room


async def _claim(
    store: SessionStore, persist: Persistence, lease: Lease, session_id: str, agent_id: str
) -> tuple[SessionState, int]:
    """Read everything that was written, and write behind it: no former owner can any more."""
    writer = LogWriter(store, session_id, lease, lambda _: None)
    writer.claiming = True
    while True:
        newest = await persist(writer.read_last)
        state = SessionState(id=session_id, agent_id=agent_id)
        if newest is not None:
            state = await _read(store, newest, session_id, agent_id)
        await writer.open(0 if newest is None else newest.seq)
        try:
            await writer.write_snapshot(state)
        except NotCaughtUpError:
            continue
        return state, writer.snapshot


async def _read(
    store: SessionStore, newest: Stored, session_id: str, agent_id: str
) -> SessionState:
    """The session's state as of its newest message."""
    try:
        head, _ = split(newest.data, session_id)
        if isinstance(head, End):
            return SessionState(id=session_id, agent_id=agent_id, sequence=head.sequence)
        async with RemoteSession(store.client, session_id, stream=store.subjects.stream) as remote:
            await remote.reached(newest.seq)
            return remote.state
    except (MisuseError, NoSuchSessionError, ClosedError):
        return SessionState(id=session_id, agent_id=agent_id)
