"""The tables of `livelayer.toml` as frozen records, and texts that come from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, final

import msgspec
from msgspec import UNSET, UnsetType

from ..clock import Backoff

Environment: TypeAlias = Mapping[str, str]


@final
class Text:
    """A text of the file, or where in the environment it is; its repr shows no value."""

    __slots__ = ("_env", "_value")

    def __init__(self, value: str | None = None, *, env: str | None = None) -> None:
        self._value = value
        self._env = env

    def reveal(self, environ: Environment) -> str:
        """The text itself.

        Raises:
            LookupError: it is to be in the environment, and is not.
        """
        if self._env is None:
            return self._value or ""
        if not environ.get(self._env):
            raise LookupError(f"the environment variable {self._env} is not set: export it")
        return environ[self._env]

    def __repr__(self) -> str:
        return f"Text(env={self._env!r})" if self._env is not None else "Text(...)"


def env_name(value: object) -> str | None:
    """The variable that `{ env = "NAME" }` names; None for anything else."""
    match value:
        case {"env": str(name), **rest} if not rest:
            return name
        case _:
            return None


def reveal(value: object, environ: Environment) -> object:
    """The value with every `Text` and every `{ env = "NAME" }` in it replaced by its text."""
    name = env_name(value)
    if name is not None:
        return Text(env=name).reveal(environ)
    match value:
        case Text():
            return value.reveal(environ)
        case dict():
            return {key: reveal(item, environ) for key, item in value.items()}
        case list():
            return [reveal(item, environ) for item in value]
        case _:
            return value


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


class Head(Table, frozen=True):
    """What any file may hold: one file serves `livelayer run` and `livelayer serve`."""

    agent_id: str | UnsetType = UNSET
    base_url: str | None = None
    control: bool = True
    tokens: dict[str, Any] | None = None
    surfaces: dict[str, dict[str, Any]] = {}
    session: dict[str, Any] = {}
    agents: dict[str, dict[str, Any]] = {}
    endpoint: dict[str, Any] = {}
