"""The tables of `livelayer.toml` as frozen records, and texts that come from the environment."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar, final

import msgspec
from msgspec import UNSET, UnsetType

from ..clock import Backoff
from ..errors import ConfigError, MisuseError
from ..messages import check_capabilities
from ..tokens import LiteralToken, LocalKeys, SessionEndpoint, TokenEndpoint, TokenSource

T = TypeVar("T")
_UNKNOWN_KEY: Final = re.compile(r"unknown field `([^`]*)`")
_MISSING_KEY: Final = re.compile(r"missing required field `([^`]*)`")

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


def reveal(value: object, environ: Environment) -> object:
    """The value with every `Text` and every `{ env = "NAME" }` in it replaced by its text."""
    match value:
        case {"env": str(name), **rest} if not rest:
            return Text(env=name).reveal(environ)
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


TOKEN_KINDS: Final[dict[str, tuple[type[TokenTable], Callable[..., TokenSource]]]] = {
    "literal": (LiteralTokens, LiteralToken),
    "session-endpoint": (SessionEndpointTokens, SessionEndpoint),
    "token-endpoint": (TokenEndpointTokens, TokenEndpoint),
    "local-keys": (LocalKeyTokens, LocalKeys),
}


class SurfaceTable(Table, frozen=True):
    """One surface to mount."""

    plugin: str | None = None
    """The entry point's name; None: the same as the key."""
    capabilities: tuple[str, ...] = ()
    on_fault: Literal["restart", "unmount", "raise"] = "restart"
    options: dict[str, Any] = {}

    def __post_init__(self) -> None:
        try:
            check_capabilities(self.capabilities)
        except MisuseError as exc:
            raise ConfigError("capabilities", str(exc)) from exc


class ReconnectTable(Backoff, frozen=True, forbid_unknown_fields=True):
    """`Backoff` as a table of the file."""


class SessionTable(Table, frozen=True):
    """Settings of the session; what is not set keeps the session's own default."""

    resume_window: float | UnsetType = UNSET
    reconnect: ReconnectTable | bool | UnsetType = UNSET
    agent_timeout: float | UnsetType = UNSET
    linger: float | UnsetType = UNSET
    close_timeout: float | UnsetType = UNSET
    capacity: int | UnsetType = UNSET
    max_bytes: int | UnsetType = UNSET
    max_message_bytes: int | UnsetType = UNSET

    def keywords(self) -> dict[str, Any]:
        """The keyword arguments of `Session` that are set."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        given = {name: value for name, value in given.items() if value is not UNSET}
        reconnect = given.pop("reconnect", True)
        return given if reconnect is True else given | {"reconnect": reconnect or None}


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


def read_document(path: Path) -> dict[str, Any]:
    """The file as TOML values."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        problem = f"cannot be read ({exc.strerror}): give its path with --config"
        raise ConfigError(str(path), problem) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(str(path), "is not UTF-8: save it as UTF-8") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(str(path), f"is not valid TOML: {exc}") from exc


def convert(value: object, kind: type[T], file: str, where: str) -> T:
    """Return `value` as a `kind`; an error names the whole path of the key."""
    try:
        return msgspec.convert(value, kind, dec_hook=_text)
    except ConfigError as exc:
        raise ConfigError(f"{file}: {where}.{exc.where}", exc.problem) from exc
    except MisuseError as exc:
        raise ConfigError(f"{file}: {where}", str(exc)) from exc
    except msgspec.ValidationError as exc:
        problem, _, path = str(exc).partition(" - at `$")
        path = path.rstrip("`")
        unknown = _UNKNOWN_KEY.search(problem)
        if unknown is not None:
            problem = _unknown_key(unknown[1], kind, nested=bool(path))
            path += f".{unknown[1]}"
        elif missing := _MISSING_KEY.search(problem):
            path += f".{missing[1]}"
            problem = "is missing: add it"
        key = f"{where}{path}".removeprefix(".")
        raise ConfigError(f"{file}: {key}" if key else file, problem) from exc


def _unknown_key(name: str, kind: type, *, nested: bool) -> str:
    if nested:
        return "is not a key of this table: remove it"
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    close = get_close_matches(name, known, n=1)
    advice = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"
    return f"is not a key of this table; {advice}"


def _text(kind: type, value: object) -> object:
    """msgspec's hook: the only foreign type of the tables is `Text`."""
    if kind is not Text:
        raise NotImplementedError  # so msgspec's own message names the type
    match value:
        case str():
            return Text(value)
        case {"env": str(name), **rest} if not rest:
            return Text(env=name)
        case _:
            raise ValueError('Expected a text, or { env = "NAME" }')
