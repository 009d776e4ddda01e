"""The tables of `livelayer.toml`, as frozen records."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from ..clock import Backoff
from .secrets import Text


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file. Its repr names what is set, never a value: options may be secrets."""

    def __repr__(self) -> str:
        fields = (name for name in self.__struct_fields__ if getattr(self, name) is not UNSET)
        return f"{type(self).__name__}({', '.join(f'{name}=...' for name in fields)})"


class LiteralTokens(Table, frozen=True, tag="literal", tag_field="kind"):
    """A room's address and a token, as they are."""

    url: Text
    token: Text


class SessionEndpointTokens(Table, frozen=True, tag="session-endpoint", tag_field="kind"):
    """LiveLayer's session endpoint: at `url`, or below the file's `base_url`."""

    url: Text | None = None
    api_key: Text | None = None
    headers: dict[str, Text] = {}
    body: dict[str, Any] = {}


class TokenEndpointTokens(Table, frozen=True, tag="token-endpoint", tag_field="kind"):
    """LiveKit's standard token endpoint."""

    url: Text
    headers: dict[str, Text] = {}
    body: dict[str, Any] = {}
    room_name: Text | None = None
    identity: Text | None = None
    dispatch: bool | str = False


class LocalKeyTokens(Table, frozen=True, tag="local-keys", tag_field="kind"):
    """An API key and secret: tokens are made on this machine."""

    url: Text
    api_key: Text
    api_secret: Text
    room_name: Text | None = None
    identity: Text | None = None
    name: Text | None = None
    dispatch: bool | str = False


TokenTable: TypeAlias = LiteralTokens | SessionEndpointTokens | TokenEndpointTokens | LocalKeyTokens


class SurfaceTable(Table, frozen=True):
    """One surface to mount."""

    plugin: str | None = None
    """The entry point's name; None: the same as the key."""
    capabilities: tuple[str, ...] = ()
    on_fault: Literal["restart", "unmount", "raise"] = "restart"
    options: dict[str, Any] = {}


class ReconnectTable(Backoff, frozen=True, forbid_unknown_fields=True):
    """`Backoff` as a table of the file."""


class SessionTable(Table, frozen=True):
    """Settings of the session; what is not set keeps the session's own default."""

    resume_window: float | UnsetType = UNSET
    reconnect: ReconnectTable | bool | UnsetType = UNSET
    linger: float | UnsetType = UNSET
    close_timeout: float | UnsetType = UNSET
    capacity: int | UnsetType = UNSET
    max_bytes: int | UnsetType = UNSET
    max_message_bytes: int | UnsetType = UNSET

    def keywords(self) -> dict[str, Any]:
        """The keyword arguments of `Session` that are set."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        given = {name: value for name, value in given.items() if value is not UNSET}
        match given.get("reconnect"):
            case True:
                del given["reconnect"]
            case False:
                given["reconnect"] = None
            case _:
                pass
        return given


class AgentTable(Table, frozen=True):
    """An agent that the session endpoint serves, as `[agents.<id>]`."""

    name: str
    avatar_image_url: str | None = None
    idle_loop_url: str | None = None
    dispatch: str | None = None
    metadata: dict[str, Any] = {}


class RateTable(Table, frozen=True):
    """How often may be asked: `burst` at once, then `per_minute`."""

    per_minute: float
    burst: int


class EndpointTable(Table, frozen=True):
    """What `livelayer serve` is run with; what is not set keeps the endpoint's own default."""

    url: Text | None = None
    api_key: Text | None = None
    api_secret: Text | None = None
    api_url: Text | None = None
    keys: dict[str, Text] = {}
    origins: list[str] | UnsetType = UNSET
    trusted_proxies: list[str] | UnsetType = UNSET
    token_seconds: float | UnsetType = UNSET
    resume_window: float | UnsetType = UNSET
    max_body: int | UnsetType = UNSET
    max_session: int | UnsetType = UNSET
    address_rate: RateTable | UnsetType = UNSET
    caller_rate: RateTable | UnsetType = UNSET


class Body(Table, frozen=True):
    """What any file may hold: one file serves `livelayer run` and `livelayer serve`."""

    base_url: str | None = None
    control: bool = True
    tokens: dict[str, Any] | None = None
    surfaces: dict[str, dict[str, Any]] = {}
    session: dict[str, Any] = {}
    agents: dict[str, dict[str, Any]] = {}
    endpoint: dict[str, Any] = {}


class Head(Body, frozen=True, kw_only=True):
    """A file for a session: it names its agent."""

    agent_id: str


class EndpointHead(Body, frozen=True, kw_only=True):
    """A file for the endpoint: it may be for a session as well."""

    agent_id: str | None = None
