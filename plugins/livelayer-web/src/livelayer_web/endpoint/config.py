"""The endpoint's part of `livelayer.toml`: agents, keys and limits.

    [agents.agt_abc123]                        # one table an agent; its name is the id
    name = "Lumi"
    avatar_image_url = "https://example.com/lumi.png"
    idle_loop_url = "https://example.com/lumi.mp4"
    dispatch = "lumi"                          # the worker's agent_name; the id, if not given
    metadata = { voice = "calm" }              # for the worker; visitors can read it, too
    hide_branding = true                       # for widgets, as capabilities, auto_page_context and
                                               # page_vision

    [endpoint]
    url = "wss://rooms.example.com"            # not given: a server of its own, on this machine
    api_key = { env = "LIVEKIT_API_KEY" }
    api_secret = { env = "LIVEKIT_API_SECRET" }
    keys = { shop = { env = "SHOP_KEY" } }     # who may ask; names are for the log
    origins = ["https://shop.example.com"]
    own_attributes = true                      # for `agent.context`: see EndpointSettings
    trusted_proxies = ["10.0.0.0/8"]           # whose X-Forwarded-For is believed
    resume_window = 300.0
    address_rate = { per_minute = 120.0, burst = 60 }

A file without a table of agents serves its `agent_id`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from livelayer_bus.config import (
    Environment,
    Head,
    Table,
    Text,
    convert,
    read_document,
)
from livelayer_bus.errors import ConfigError
from livelayer_bus.events import AgentConfig

from ..http import Rate
from .agents import ServedAgent
from .app import EndpointSettings


class AgentTable(Table, frozen=True):
    """An agent that the session endpoint serves, as `[agents.<id>]`."""

    name: str
    avatar_image_url: str | None = None
    idle_loop_url: str | None = None
    dispatch: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    capabilities: tuple[str, ...] | None = None
    auto_page_context: bool | None = None
    hide_branding: bool | None = None
    page_vision: bool | None = None


class Limits(Table, frozen=True):
    """Arguments of `EndpointSettings` that a file may set; it checks them."""

    origins: tuple[str, ...] | UnsetType = UNSET
    own_attributes: bool | UnsetType = UNSET
    trusted_proxies: tuple[str, ...] | UnsetType = UNSET
    token_seconds: float | UnsetType = UNSET
    resume_window: float | UnsetType = UNSET
    max_body: int | UnsetType = UNSET
    max_session: int | UnsetType = UNSET
    address_rate: Rate | UnsetType = UNSET
    caller_rate: Rate | UnsetType = UNSET


class EndpointTable(Limits, frozen=True):
    """What `livelayer serve` is run with; what is not set keeps the endpoint's own default."""

    url: Text | None = None
    api_key: Text | None = None
    api_secret: Text | None = None
    api_url: Text | None = None
    keys: dict[str, Text] = msgspec.field(default_factory=dict[str, Text])


class EndpointConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoint's part of a file, with secrets resolved; its repr shows no secret."""

    agents: tuple[ServedAgent, ...]
    url: str | None = None
    """The LiveKit server; None: not in the file."""
    api_key: str | None = None
    api_secret: str | None = None
    api_url: str | None = None
    keys: dict[str, str] = {}
    limits: dict[str, Any] = {}
    """Arguments of `EndpointSettings` that the file sets."""

    def settings(
        self,
        url: str | None = None,
        api_key: str | None = None,
        api_secret: str | None = None,
        *,
        origins: tuple[str, ...] = (),
    ) -> EndpointSettings:
        """The settings. Arguments replace the file's values; origins are added.

        Raises:
            ConfigError: a value is invalid, or the server's address, key or secret is missing.
        """
        limits = dict(self.limits)
        limits["origins"] = (*limits.get("origins", ()), *origins)
        return EndpointSettings(
            url=url or self.url or "",
            api_key=api_key or self.api_key or "",
            api_secret=api_secret or self.api_secret or "",
            api_url=None if url else self.api_url,
            **limits,
        )

    def __repr__(self) -> str:
        names = ", ".join(agent.id for agent in self.agents)
        return f"EndpointConfig(agents=({names}), ...)"


def load_endpoint_config(
    path: str | os.PathLike[str], environ: Environment = os.environ
) -> EndpointConfig:
    """Read the endpoint's part of a configuration file.

    Raises:
        ConfigError: the file cannot be read, a value cannot be used, or an environment variable
            is missing; the error names the file and the key.
    """
    path = Path(path)
    file = str(path)
    head = convert(read_document(path), Head, file, "")
    table = convert(head.endpoint, EndpointTable, file, "endpoint")
    agents = tuple(
        _agent(name, convert(entry, AgentTable, file, f"agents.{name}"))
        for name, entry in head.agents.items()
    )
    if not agents and head.agent_id is not UNSET:
        agents = (ServedAgent(id=head.agent_id, config=AgentConfig(head.agent_id)),)
    if not agents:
        raise ConfigError(f"{file}: agents", "no agents: add a table [agents.<id>]")
    try:
        return EndpointConfig(
            agents=agents,
            url=_revealed(table.url, environ),
            api_key=_revealed(table.api_key, environ),
            api_secret=_revealed(table.api_secret, environ),
            api_url=_revealed(table.api_url, environ),
            keys={name: text.reveal(environ) for name, text in table.keys.items()},
            limits=_limits(table),
        )
    except LookupError as exc:
        raise ConfigError(f"{file}: endpoint", str(exc)) from exc
    except ConfigError as exc:
        raise ConfigError(f"{file}: endpoint.{exc.where}", exc.problem) from exc


def _agent(name: str, entry: AgentTable) -> ServedAgent:
    config = AgentConfig(entry.name, entry.avatar_image_url, entry.idle_loop_url)
    given = {field: getattr(entry, field) for field in entry.__struct_fields__}
    rest = {field: given[field] for field in ServedAgent.__struct_fields__ if field in given}
    return ServedAgent(id=name, config=config, **rest)


def _limits(table: Limits) -> dict[str, Any]:
    given = {name: getattr(table, name) for name in Limits.__struct_fields__}
    return {name: value for name, value in given.items() if value is not UNSET}


def _revealed(text: Text | None, environ: Environment) -> str | None:
    return text.reveal(environ) if text is not None else None
