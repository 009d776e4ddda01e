"""The bodies of the endpoint's requests and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from livelayer_bus.events import AgentConfig

from .agents import ServedAgent

Id = Annotated[str, Meta(min_length=1, max_length=256)]
Name = Annotated[str, Meta(max_length=256)]
Attributes = dict[
    Annotated[str, Meta(min_length=1, max_length=128)], Annotated[str, Meta(max_length=1024)]
]


class SessionRequest(msgspec.Struct, frozen=True, rename="camel"):
    """LiveLayer's request; any further fields are passed on to the agent."""

    agent_id: Id
    prior_room_name: Annotated[str, Meta(max_length=256)] | None = None
    """The room to return to; for a viewer, the room to watch."""
    role: Literal["user", "viewer"] = "user"
    """A viewer is hidden, and may subscribe and nothing else."""


class SessionAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """LiveLayer's answer."""

    url: str
    token: str
    room_name: str
    agent_config: dict[str, str]


class AgentWish(msgspec.Struct, frozen=True):
    """An agent that LiveKit's request names."""

    agent_name: Id
    """An agent's id, or the name of its worker."""
    metadata: Annotated[str, Meta(max_length=2048)] = ""


class RoomWish(msgspec.Struct, frozen=True):
    """LiveKit's room configuration; only `agents` is used."""

    agents: Annotated[list[AgentWish], Meta(max_length=1)] = []


class TokenBody(msgspec.Struct, frozen=True):
    """LiveKit's standard request; other fields are ignored."""

    room_name: Annotated[str, Meta(max_length=256)] | None = None
    participant_identity: Annotated[str, Meta(max_length=128)] | None = None
    participant_name: Name | None = None
    participant_metadata: Annotated[str, Meta(max_length=2048)] | None = None
    participant_attributes: Annotated[Attributes, Meta(max_length=32)] | None = None
    room_config: RoomWish | None = None


class TokenAnswer(msgspec.Struct, frozen=True):
    """LiveKit's standard answer."""

    server_url: str
    participant_token: str


class WidgetAgent(AgentConfig, frozen=True, kw_only=True, rename="camel"):
    """An agent as it is published for widgets; `capabilities` suggests, and grants nothing."""

    id: str
    capabilities: tuple[str, ...] | None = None
    auto_page_context: bool | None = None
    hide_branding: bool | None = None
    page_vision: bool | None = None


def session_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of LiveLayer's request besides its own."""
    own = {field.encode_name for field in msgspec.structs.fields(SessionRequest)}
    return {name: value for name, value in body.items() if name not in own}


def config_body(config: AgentConfig) -> dict[str, str]:
    """The published configuration without the fields that are not set."""
    fields: dict[str, str | None] = msgspec.to_builtins(config)
    return {name: value for name, value in fields.items() if value is not None}


def widget_body(agent: ServedAgent) -> dict[str, Any]:
    """What is published of an agent for widgets; the options that are not set are left out."""
    published = WidgetAgent(
        id=agent.id,
        name=agent.config.name,
        avatar_image_url=agent.config.avatar_image_url,
        idle_loop_url=agent.config.idle_loop_url,
        capabilities=agent.capabilities,
        auto_page_context=agent.auto_page_context,
        hide_branding=agent.hide_branding,
        page_vision=agent.page_vision,
    )
    fields: dict[str, Any] = msgspec.to_builtins(published)
    always = {"id", "name", "avatarImageUrl", "idleLoopUrl"}
    return {name: value for name, value in fields.items() if name in always or value is not None}
