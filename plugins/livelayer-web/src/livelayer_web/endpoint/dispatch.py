"""Dispatches agents to existing rooms, through LiveKit's server API.

A new room gets its agent from the token's room configuration: no call is made, no agent starts for
a token that is not used, and 1,000 tokens cost the LiveKit server nothing. That configuration
counts only when the room is created. So when a caller returns to a room, the room is checked: if
its agent has left, another one is dispatched.
"""

from __future__ import annotations

import time
from typing import Final, final

import aiohttp
import anyio
from livekit import api
from livekit.protocol.agent import JS_PENDING, JS_RUNNING
from livekit.protocol.agent_dispatch import AgentDispatch
from livekit.protocol.models import ParticipantInfo

from livelayer_bus.tokens import DispatchMetadata

from ..http.problems import SOON, Problem
from .agents import ServedAgent

CALL_SECONDS: Final = 5.0
COMING_SECONDS: Final = 10.0
"""How long an agent that was dispatched may take to join."""
_LOCKS: Final = 64


@final
class Dispatcher:
    """Ensures that a room has its agent. Two requests for one room dispatch one agent.

    Args:
        url: the LiveKit server as this process reaches it.
        key: its API key.
        secret: its API secret.
    """

    def __init__(self, url: str, key: str, secret: str) -> None:
        self._url = url
        self._key = key
        self._secret = secret
        # A fixed number of locks: rooms that share one may wait for each other.
        self._locks = [anyio.Lock() for _ in range(_LOCKS)]

    async def ensure_agent(self, room: str, agent: ServedAgent, job: DispatchMetadata) -> bool:
        """Dispatch the agent if the room exists without it. Returns whether the room exists.

        Raises:
            Problem: the LiveKit server cannot be reached.
        """
        try:
            async with self._locks[hash(room) % _LOCKS]:
                return await self._ensure(room, agent, job)
        except api.ServerError as exc:
            if exc.code == "not_found":
                return False
            raise _unreachable() from exc
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise _unreachable() from exc

    async def _ensure(self, room: str, agent: ServedAgent, job: DispatchMetadata) -> bool:
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        # A client for each call: calls are rare, and the app then has nothing to close.
        async with api.LiveKitAPI(
            self._url, self._key, self._secret, timeout=timeout, failover=False
        ) as client:
            found = await client.room.list_rooms(api.ListRoomsRequest(names=[room]))
            if not found.rooms:
                return False
            people = await client.room.list_participants(api.ListParticipantsRequest(room=room))
            if any(person.kind == ParticipantInfo.AGENT for person in people.participants):
                return True
            dispatches = await client.agent_dispatch.list_dispatch(room)
            ours = (item for item in dispatches if item.agent_name == agent.worker)
            if any(_coming(dispatch, time.time()) for dispatch in ours):
                return True
            await client.agent_dispatch.create_dispatch(
                api.CreateAgentDispatchRequest(
                    agent_name=agent.worker, room=room, metadata=job.encode()
                )
            )
            return True

    def __repr__(self) -> str:
        return "Dispatcher(...)"


def _coming(dispatch: AgentDispatch, now: float) -> bool:
    """Whether an agent of this dispatch may still arrive: dispatched a moment ago, not ended."""
    state = dispatch.state
    if state.deleted_at:
        return False
    if not state.jobs:
        return now - state.created_at / 1e9 < COMING_SECONDS
    return any(
        job.state.status in (JS_PENDING, JS_RUNNING)
        and now - max(job.state.started_at, state.created_at) / 1e9 < COMING_SECONDS
        for job in state.jobs
    )


def _unreachable() -> Problem:
    """The LiveKit server did not answer; the same request may succeed later."""
    detail = "the LiveKit server cannot be reached: try again"
    return Problem(503, "server_unreachable", detail, SOON)
