"""`livelayer.toml`: which agent, with whose token, on which surfaces.

`livelayer run --help` shows one; `tables.py` has every key. Any text of [tokens] and of a surface's
options may be taken from the environment: `{ env = "NAME" }`. An unknown key is an error: a
misspelt option must not be ignored. The tables [agents.<id>] and [endpoint] of the same file are
for `livelayer serve`, which checks them: see `livelayer_web.endpoint`.
"""

from __future__ import annotations

import os
from inspect import signature
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from ..errors import ConfigError, LivelayerError, MisuseError
from ..messages.capabilities import check_capabilities
from ..session.session import Session
from ..surfaces.supervision import MountedSurface
from ..surfaces.surface import Surface, SurfaceFunction
from ..tokens import LiteralToken, LocalKeys, SessionEndpoint, TokenEndpoint, TokenSource
from .reading import convert, read_document, read_surface, read_tokens
from .registry import load_surface
from .tables import (
    Environment,
    Head,
    LiteralTokens,
    LocalKeyTokens,
    SessionEndpointTokens,
    SessionTable,
    SurfaceTable,
    Table,
    TokenEndpointTokens,
    TokenTable,
    reveal,
)

FILE_NAME: Final = "livelayer.toml"


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
        where = f"{self.path}: tokens"
        try:
            return _token_source(self.tokens, self.base_url, environ)
        except (LookupError, LivelayerError) as exc:
            raise ConfigError(where, str(exc)) from exc

    def build_session(self, environ: Environment = os.environ) -> Session:
        """A session of this file's agent, not yet entered.

        Raises:
            ConfigError: an environment variable is missing, or a value cannot be used.
        """
        tokens = self.token_source(environ)
        try:
            return Session(
                self.agent_id, base_url=self.base_url, tokens=tokens, **self.session.keywords()
            )
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
        made = [
            (key, table, self._make(key, table, environ)) for key, table in self.surfaces.items()
        ]
        return tuple(
            session.mount(
                surface,
                key=key,
                capabilities=check_capabilities(table.capabilities),
                on_fault=table.on_fault,
            )
            for key, table, surface in made
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
        ConfigError: the file cannot be read, is not valid TOML, or has an invalid value; the error
            names the file, the key and what to do.
    """
    path = Path(path)
    head = convert(read_document(path), Head, str(path), "")
    if head.agent_id is msgspec.UNSET:
        raise ConfigError(f"{path}: agent_id", "is missing: add it")
    surfaces = {
        key: read_surface(table, str(path), f"surfaces.{key}")
        for key, table in head.surfaces.items()
    }
    return Config(
        path=path,
        agent_id=head.agent_id,
        base_url=head.base_url,
        control=head.control,
        tokens=read_tokens(head, str(path)),
        surfaces=surfaces,
        session=convert(head.session, SessionTable, str(path), "session"),
    )


def _token_source(table: TokenTable, base_url: str | None, environ: Environment) -> TokenSource:
    given = {name: reveal(getattr(table, name), environ) for name in table.__struct_fields__}
    given = {name: value for name, value in given.items() if value is not None}
    arguments = cast(dict[str, Any], given)
    match table:
        case LiteralTokens():
            return LiteralToken(**arguments)
        case SessionEndpointTokens(url=None):
            return SessionEndpoint.at(base_url or "", **arguments)
        case SessionEndpointTokens():
            return SessionEndpoint(**arguments)
        case TokenEndpointTokens():
            return TokenEndpoint(**arguments)
        case LocalKeyTokens():
            return LocalKeys(**arguments)


def _parameters(factory: object) -> str:
    try:
        return str(signature(factory)) if callable(factory) else "nothing"
    except (TypeError, ValueError):
        return "other options"
