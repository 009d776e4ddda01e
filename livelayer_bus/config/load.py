"""`livelayer.toml`: which agent, with whose token, on which surfaces; and the surfaces installed.

`livelayer run --help` shows one; `tables.py` has every key. Any text of [tokens] and of a surface's
options may be taken from the environment: `{ env = "NAME" }`. An unknown key is an error. The
tables [agents.<id>] and [endpoint] are for `livelayer serve`: see `livelayer_web.endpoint`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import msgspec

from .. import errors
from ..errors import ConfigError, LivelayerError, MisuseError, PluginBrokenError
from ..session.session import Session
from ..surfaces.supervision import MountedSurface
from ..surfaces.surface import Surface, SurfaceFunction
from ..tokens import SessionEndpoint, TokenSource
from . import tables

FILE_NAME: Final = "livelayer.toml"
SURFACES: Final = "livelayer_bus.surfaces"
"""The entry point group of surface factories."""

DISTRIBUTIONS: Final = {
    "console": "livelayer-terminal",
    "nats": "livelayer-nats",
    "recorder": "livelayer-recorder",
    "web": "livelayer-web",
    "webhook": "livelayer-web",
}
"""Known surfaces that a distribution of their own brings; errors name it."""

SurfaceFactory: TypeAlias = Callable[..., Surface | SurfaceFunction]
"""Called with a surface's options as keywords; gives something that can be mounted."""


class Config(tables.Table, frozen=True):
    """A whole `livelayer.toml`, checked; secrets are still where the file says they are."""

    path: Path
    agent_id: str
    base_url: str | None = None
    control: bool = True
    """Whether `livelayer send` and `tail` can reach the session."""
    tokens: tables.TokenTable | None = None
    surfaces: dict[str, tables.SurfaceTable] = msgspec.field(
        default_factory=dict[str, tables.SurfaceTable]
    )
    """By key, in the order of the file, which is the order of mounting."""
    session: tables.SessionTable = tables.SessionTable()

    def token_source(self, environ: tables.Environment = os.environ) -> TokenSource | None:
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

    def build_session(self, environ: tables.Environment = os.environ) -> Session:
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
        self, session: Session, environ: tables.Environment = os.environ
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
        self, key: str, table: tables.SurfaceTable, environ: tables.Environment
    ) -> Surface | SurfaceFunction:
        where = f"{self.path}: surfaces.{key}.options"
        factory = load_surface(table.plugin or key)
        try:
            options = cast(dict[str, Any], tables.reveal(table.options, environ))
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
    head = tables.convert(tables.read_document(path), tables.Head, str(path), "")
    if head.agent_id is msgspec.UNSET:
        raise ConfigError(f"{path}: agent_id", "is missing: add it")
    return Config(
        path=path,
        agent_id=head.agent_id,
        base_url=head.base_url,
        control=head.control,
        tokens=_read_tokens(head, str(path)),
        surfaces={
            key: tables.convert(table, tables.SurfaceTable, str(path), f"surfaces.{key}")
            for key, table in head.surfaces.items()
        },
        session=tables.convert(head.session, tables.SessionTable, str(path), "session"),
    )


def _read_tokens(head: tables.Head, file: str) -> tables.TokenTable | None:
    """The file's table of tokens; None when `base_url` alone says where they come from."""
    if head.tokens is None:
        if head.base_url is None:
            problem = "there is neither base_url nor a table [tokens]: add one of them"
            raise ConfigError(file, problem)
        return None
    kind, _ = tables.TOKEN_KINDS.get(str(head.tokens.get("kind")), (None, None))
    if kind is None:
        problem = f"must be one of {', '.join(map(repr, tables.TOKEN_KINDS))}"
        raise ConfigError(f"{file}: tokens.kind", problem)
    table = tables.convert(head.tokens, kind, file, "tokens")
    if head.base_url is None and getattr(table, "url", None) is None:
        problem = "a session-endpoint needs url, or base_url at the head of the file"
        raise ConfigError(f"{file}: tokens.url", problem)
    return table


def _token_source(
    table: tables.TokenTable, base_url: str | None, environ: tables.Environment
) -> TokenSource:
    given = {name: tables.reveal(getattr(table, name), environ) for name in table.__struct_fields__}
    arguments: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if isinstance(table, tables.SessionEndpointTokens) and table.url is None:
        return SessionEndpoint.at(base_url or "", **arguments)
    _, make = tables.TOKEN_KINDS[str(table.__struct_config__.tag)]
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
