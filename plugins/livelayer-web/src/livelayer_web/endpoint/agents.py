"""The agents that the endpoint serves."""

from __future__ import annotations

from typing import Any, Final, final

import msgspec

from livelayer_bus.errors import ConfigError
from livelayer_bus.events import AgentConfig
from livelayer_bus.messages import ALL

MAX_ID: Final = 256  # characters of an agent's id
MAX_METADATA: Final = 1024  # bytes of an agent's metadata as JSON: tokens travel in headers


class ServedAgent(msgspec.Struct, frozen=True, kw_only=True):
    """One agent: its published configuration, and how its worker is dispatched.

    `metadata` reaches the agent inside the token, which the visitor can read: put no secret in it.
    """

    id: str
    config: AgentConfig
    dispatch: str | None = None
    """The `agent_name` that its worker registers with; None: the id. Empty: workers without a
    name, which join every new room."""
    metadata: dict[str, Any] = {}
    # Published for widgets, which grant nothing by it:
    capabilities: tuple[str, ...] | None = None
    auto_page_context: bool | None = None
    hide_branding: bool | None = None
    page_vision: bool | None = None

    @property
    def worker(self) -> str:
        """The name that its worker registers with; empty for a worker without one."""
        return self.id if self.dispatch is None else self.dispatch


@final
class AgentDirectory:
    """The agents by id and by the name of their worker.

    Raises:
        ConfigError: there are no agents, two share an id, or an id or metadata is invalid.
    """

    def __init__(self, agents: tuple[ServedAgent, ...]) -> None:
        if not agents:
            raise ConfigError("agents", "no agents: add a table [agents.<id>]")
        self._by_id: dict[str, ServedAgent] = {}
        self._by_worker: dict[str, ServedAgent] = {}
        for agent in agents:
            if not agent.id or len(agent.id) > MAX_ID or not agent.id.isprintable():
                raise ConfigError(
                    "agents",
                    f"invalid id {agent.id[:40]!r}: give 1 to {MAX_ID} printable characters",
                )
            if agent.id in self._by_id:
                raise ConfigError("agents", f"two agents have the id {agent.id!r}")
            if len(msgspec.json.encode(agent.metadata)) > MAX_METADATA:
                problem = f"it is longer than {MAX_METADATA} bytes of JSON: shorten it"
                raise ConfigError(f"agents.{agent.id}.metadata", problem)
            if unknown := set(agent.capabilities or ()) - set(ALL):
                problem = f"there is no {min(unknown)!r}: choose of {', '.join(sorted(ALL))}"
                raise ConfigError(f"agents.{agent.id}.capabilities", problem)
            self._by_id[agent.id] = agent
            self._by_worker.setdefault(agent.worker, agent)

    @property
    def only(self) -> ServedAgent | None:
        """The only agent; None if there are several."""
        return next(iter(self._by_id.values())) if len(self._by_id) == 1 else None

    def get(self, agent_id: str) -> ServedAgent | None:
        """The agent of this id."""
        return self._by_id.get(agent_id)

    def find(self, name: str) -> ServedAgent | None:
        """The agent of this id or, as LiveKit's clients ask, of this worker's name."""
        return self._by_id.get(name) or self._by_worker.get(name)
