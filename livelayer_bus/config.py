"""`livelayer.toml`: which agent, with whose token, on which surfaces; and the surfaces installed.

`livelayer run --help` shows one. Any text of [tokens] and of a surface's options may be taken from
the environment: `{ env = "NAME" }`. An unknown key is an error. The tables [agents.<id>] and
[endpoint] are for `livelayer serve`: see `livelayer_web.endpoint`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast, final

import msgspec
from msgspec import UNSET, UnsetType

from . import errors
from .clock import Backoff
from .errors import ConfigError, LivelayerError, MisuseError, PluginBrokenError
from .messages import check_capabilities
from .session import Session
from .surfaces import MountedSurface, Surface, SurfaceFunction
from .tokens import LiteralToken, LocalKeys, SessionEndpoint, TokenEndpoint, TokenSource

__all__ = [
    "FILE_NAME", "Config", "load_config", "SessionTable", "ReconnectTable", "SurfaceTable",
    "TokenTable",
    # Installed surfaces
    "InstalledSurface", "SurfaceFactory", "installed_surfaces", "load_surface",
    # For distributions that read tables of their own from the same file
    "Table", "Head", "Text", "Environment", "reveal", "convert", "read_document",
]  # fmt: skip

FILE_NAME: Final = "livelayer.toml"
SURFACES: Final = "livelayer_bus.surfaces"  # the entry point group of surface factories

DISTRIBUTIONS: Final = {
    "console": "livelayer-terminal",
    "nats": "livelayer-nats",
    "recorder": "livelayer-recorder",
    "terminal": "livelayer-terminal",
    "web": "livelayer-web",
    "webhook": "livelayer-web",
}
"""Known surfaces that a distribution of their own brings; errors name it."""

SurfaceFactory: TypeAlias = Callable[..., Surface | SurfaceFunction]
"""Called with a surface's options as keywords; gives something that can be mounted."""

T = TypeVar("T")
_UNKNOWN_KEY: Final = re.compile(r"unknown field `([^`]*)`")
_MISSING_KEY: Final = re.compile(r"missing required field `([^`]*)`")

Environment: TypeAlias = Mapping[str, str]


@final
class Text:
    """A text of the file, or where in the environment it is; its repr shows no value."""

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


class Config(Table, frozen=True):
    """A whole `livelayer.toml`, checked; secrets are still where the file says they are."""

    path: Path
    agent_id: str
    base_url: str | None = None
    control: bool = True
    """Whether `livelayer send` and `tail` can reach the session."""
    tokens: TokenTable | None = None
    surfaces: dict[str, SurfaceTable] = msgspec.field(default_factory=dict[str, SurfaceTable])
    """By key, in the order of the file, which is the order of mounting."""
    session: SessionTable = SessionTable()

    def token_source(self, environ: Environment = os.environ) -> TokenSource | None:
        """The file's token source; None leaves it to `base_url`.

        Raises:
            ConfigError: an environment variable is missing, or a value cannot be used.
        """
        if self.tokens is None:
            return None
        try:
            return _token_source(self.tokens, self.base_url, environ)
        except (LookupError, LivelayerError) as exc:
            raise ConfigError(f"{self.path}: tokens", str(exc)) from exc

    def build_session(self, environ: Environment = os.environ) -> Session:
        """A session of this file's agent, not yet entered.

        Raises:
            ConfigError: an environment variable is missing, or a value cannot be used.
        """
        tokens, given = self.token_source(environ), self.session.keywords()
        try:
            return Session(self.agent_id, base_url=self.base_url, tokens=tokens, **given)
        except MisuseError as exc:
            raise ConfigError(f"{self.path}: session", str(exc)) from exc

    def mount_surfaces(
        self, session: Session, environ: Environment = os.environ
    ) -> tuple[MountedSurface, ...]:
        """Mount every surface of the file, in its order; all are loaded before the first is.

        Raises:
            PluginNotFoundError: a surface's plugin is not installed.
            PluginBrokenError: it cannot be loaded.
            ConfigError: its factory does not take the options.
        """
        made = [(key, it, self._make(key, it, environ)) for key, it in self.surfaces.items()]
        return tuple(
            session.mount(surface, key=key, capabilities=it.capabilities, on_fault=it.on_fault)
            for key, it, surface in made
        )

    def _make(
        self, key: str, table: SurfaceTable, environ: Environment
    ) -> Surface | SurfaceFunction:
        where = f"{self.path}: surfaces.{key}.options"
        factory = load_surface(table.plugin or key)
        try:
            options = cast(dict[str, Any], reveal(table.options, environ))
        except LookupError as exc:
            raise ConfigError(where, str(exc)) from exc
        try:
            return factory(**options)
        except LivelayerError as exc:
            raise ConfigError(where, str(exc)) from exc
        except Exception as exc:
            # Whatever a factory raises: its text may quote an option, and that may be a secret.
            problem = f"{table.plugin or key} does not take them ({type(exc).__name__})"
            if isinstance(exc, TypeError):
                problem += f"; it takes {_parameters(factory)}"
            raise ConfigError(where, problem) from exc


def load_config(path: str | os.PathLike[str] = FILE_NAME) -> Config:
    """Read and check a configuration file. The environment is not looked at yet.

    Raises:
        ConfigError: the file or a value in it is invalid; it names the key and what to do.
    """
    path = Path(path)
    head = convert(read_document(path), Head, str(path), "")
    if head.agent_id is msgspec.UNSET:
        raise ConfigError(f"{path}: agent_id", "is missing: add it")
    return Config(
        path=path,
        agent_id=head.agent_id,
        base_url=head.base_url,
        control=head.control,
        tokens=_read_tokens(head, str(path)),
        surfaces={
            key: convert(table, SurfaceTable, str(path), f"surfaces.{key}")
            for key, table in head.surfaces.items()
        },
        session=convert(head.session, SessionTable, str(path), "session"),
    )


def _read_tokens(head: Head, file: str) -> TokenTable | None:
    """The file's table of tokens; None when `base_url` alone says where they come from."""
    if head.tokens is None:
        if head.base_url is None:
            problem = "there is neither base_url nor a table [tokens]: add one of them"
            raise ConfigError(file, problem)
        return None
    kind, _ = TOKEN_KINDS.get(str(head.tokens.get("kind")), (None, None))
    if kind is None:
        problem = f"must be one of {', '.join(map(repr, TOKEN_KINDS))}"
        raise ConfigError(f"{file}: tokens.kind", problem)
    table = convert(head.tokens, kind, file, "tokens")
    if head.base_url is None and getattr(table, "url", None) is None:
        problem = "a session-endpoint needs url, or base_url at the head of the file"
        raise ConfigError(f"{file}: tokens.url", problem)
    return table


def _token_source(table: TokenTable, base_url: str | None, environ: Environment) -> TokenSource:
    given = {name: reveal(getattr(table, name), environ) for name in table.__struct_fields__}
    arguments: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if isinstance(table, SessionEndpointTokens) and table.url is None:
        return SessionEndpoint.at(base_url or "", **arguments)
    _, make = TOKEN_KINDS[str(table.__struct_config__.tag)]
    return make(**arguments)


def _parameters(factory: SurfaceFactory) -> str:
    try:
        return str(signature(factory))
    except (TypeError, ValueError):
        return "other options"


class InstalledSurface(msgspec.Struct, frozen=True):
    """A surface that can be named in `livelayer.toml`, as its distribution declares it."""

    name: str
    distribution: str
    version: str
    target: str
    """`module:attribute` of its factory."""


def installed_surfaces() -> tuple[InstalledSurface, ...]:
    """Every surface that is installed, by name; nothing is imported.

    Two distributions that claim one name are both listed.
    """
    found = {_describe(point) for point in entry_points(group=SURFACES)}
    return tuple(sorted(found, key=lambda surface: (surface.name, surface.distribution)))


def load_surface(name: str) -> SurfaceFactory:
    """The factory of the surface `name`, imported now.

    Raises:
        PluginNotFoundError: no installed distribution offers it.
        PluginBrokenError: its code cannot be loaded, or two distributions claim the name.
    """
    # An editable install may list the same entry point twice, which is not a conflict.
    points = {_describe(point): point for point in entry_points(group=SURFACES, name=name)}
    if not points:
        raise _not_found(name)
    if len(points) > 1:
        rivals = sorted(surface.distribution for surface in points)
        reason = f"{' and '.join(rivals)} both offer it: uninstall one"
        raise PluginBrokenError(name, rivals[0], reason)
    [(surface, point)] = points.items()
    try:
        factory = point.load()
    except Exception as exc:
        raise PluginBrokenError(name, surface.distribution, _reason(exc)) from exc
    if not callable(factory):
        reason = f"{surface.target} is a {type(factory).__name__}, not something to call"
        raise PluginBrokenError(name, surface.distribution, reason)
    return cast(SurfaceFactory, factory)


def _describe(point: EntryPoint) -> InstalledSurface:
    origin = (point.dist.name, point.dist.version) if point.dist else ("unknown", "unknown")
    return InstalledSurface(point.name, *origin, point.value)


def _not_found(name: str) -> errors.PluginNotFoundError:
    known = tuple(dict.fromkeys(surface.name for surface in installed_surfaces()))
    error = errors.PluginNotFoundError(name, SURFACES, known, DISTRIBUTIONS.get(name))
    close = get_close_matches(name, {*known, *DISTRIBUTIONS}, n=1)
    if close and close != [name]:
        error.add_note(f"did you mean {close[0]!r}?")
    return error


def _reason(exc: Exception) -> str:
    if not (isinstance(exc, ModuleNotFoundError) and exc.name):
        return errors.describe(exc)
    module = exc.name.partition(".")[0]
    needed = errors.distribution_of(module)
    needed = f"'{needed}'" if needed else f"what offers {module!r}"
    return f"{errors.describe(exc)}; pip install {needed}"
