"""A server without a network: scripted rooms, and the tokens to join them."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from ..events import AgentConfig
from ..tokens import RoomAccess, TokenRequest
from .gate import Gate
from .room import ScriptedRoom
from .waiting import Signal

URL = "ws://scripted.invalid"


@final
class ScriptedTokens:
    """A `TokenSource`: each request is recorded and gets its own token and room name.

    A request for a prior room gets that room's name. `gate` can hold or refuse requests.
    """

    def __init__(self, agent_config: AgentConfig | None = None) -> None:
        self.agent_config = agent_config
        self.gate = Gate("tokens")
        self.requests: tuple[TokenRequest, ...] = ()
        """The requests, oldest first."""

    async def __call__(self, request: TokenRequest, /) -> RoomAccess:
        self.requests += (request,)
        number = len(self.requests)
        await self.gate.enter()
        return RoomAccess(
            url=URL,
            token=f"token-{number}",
            room_name=request.prior_room_name or f"room-{number}",
            agent_config=self.agent_config,
        )


@final
class ScriptedRooms:
    """A `RoomFactory` that the test controls: one `ScriptedRoom` for each connection.

        rooms = ScriptedRooms()
        async with Session("agt", tokens=rooms.tokens, room=rooms) as session:
            await session.connect()
            room = await rooms.next()
            room.agent_joins()

    `joining` is the gate that each room's `connect` passes: hold it, or make it fail.
    """

    def __init__(
        self,
        *,
        agent: str | None = None,
        agent_config: AgentConfig | None = None,
        prepare: Callable[[ScriptedRoom], None] | None = None,
    ) -> None:
        """Create a server without rooms.

        Args:
            agent: an agent of this identity is active in each room as soon as it is joined; None:
                without an agent until the test adds one.
            agent_config: what every token comes with.
            prepare: called with each new room before the session gets it.
        """
        self.tokens = ScriptedTokens(agent_config)
        self.joining = Gate("joining")
        self._agent = agent
        self._prepare = prepare
        self.rooms: tuple[ScriptedRoom, ...] = ()
        """Every room created, oldest first, joined or not."""
        self._next = 0
        self._changed = Signal()

    def __call__(self) -> ScriptedRoom:
        room = ScriptedRoom(joining=self.joining, agent=self._agent, on_join=self._changed.notify)
        if self._prepare is not None:
            self._prepare(room)
        self.rooms += (room,)
        return room

    async def next(self) -> ScriptedRoom:
        """Wait for the next room that was joined; each is returned once, in order."""
        await self._changed.wait_for(self._find_joined)
        room = self.rooms[self._next]
        self._next += 1
        return room

    def _find_joined(self) -> bool:
        later = range(self._next, len(self.rooms))
        self._next = next((n for n in later if self.rooms[n].was_joined), self._next)
        return self._next < len(self.rooms) and self.rooms[self._next].was_joined
