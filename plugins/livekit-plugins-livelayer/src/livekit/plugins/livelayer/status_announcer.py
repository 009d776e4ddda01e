"""The agent's state on the wire: sent once when it changes, and to late joiners as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from livelayer_bus.events import AgentState
from livelayer_bus.messages import (
    AgentStateMessage,
    AvatarActive,
    AvatarIdle,
    AvatarStreamReady,
    BotReady,
    FromAgent,
)

_STATES: Final[dict[str, AgentState]] = {
    "listening": "listening",
    "thinking": "thinking",
    "speaking": "speaking",
}


@final
class StatusAnnouncer:
    """Sends what all participants should know about the agent.

    Sends nothing before the agent is ready; then everything once, in this order: that it is ready,
    that its avatar streams, its state.
    """

    def __init__(self, send: Callable[[FromAgent, str | None], object]) -> None:
        """
        Args:
            send: Sends a message to all participants (None) or to one.
        """
        self._send = send
        self._ready = False
        self._avatar = False
        self._state: AgentState = "idle"

    @property
    def ready(self) -> bool:
        """Whether the agent was announced as ready."""
        return self._ready

    def set_ready(self) -> None:
        """Announce that the agent can answer."""
        if not self._ready:
            self._ready = True
            self.introduce(None)

    def set_avatar(self, streams: bool) -> None:
        """Announce an avatar's video when it starts; note when it ends."""
        if streams == self._avatar:
            return
        self._avatar = streams
        if self._ready and streams:
            self._send(AvatarStreamReady(), None)

    def set_state(self, agent_state: str) -> None:
        """Announce the agent's state; `initializing` and unknown ones count as idle."""
        state = _STATES.get(agent_state, "idle")
        if state == self._state:
            return
        spoke = "speaking" in (state, self._state)
        self._state = state
        if not self._ready:
            return
        self._send(AgentStateMessage(state), None)
        if spoke and self._avatar:
            self._send(AvatarActive() if state == "speaking" else AvatarIdle(), None)

    def introduce(self, to: str | None) -> None:
        """Send a new participant everything that the others know."""
        if not self._ready:
            return
        self._send(BotReady(), to)
        if self._avatar:
            self._send(AvatarStreamReady(), to)
        self._send(AgentStateMessage(self._state), to)
        if self._avatar and self._state == "speaking":
            self._send(AvatarActive(), to)
