"""Converts TOML values to tables; an error names the file and the whole key."""

from __future__ import annotations

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import msgspec

from ..errors import ConfigError, MisuseError
from ..messages import check_capabilities
from .tables import Head, SessionEndpointTokens, SurfaceTable, Text, TokenTable, env_name

T = TypeVar("T")
_UNKNOWN_KEY: Final = re.compile(r"unknown field `([^`]*)`")
_MISSING_KEY: Final = re.compile(r"missing required field `([^`]*)`")


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


def read_tokens(head: Head, file: str) -> TokenTable | None:
    """The file's table of tokens; None when `base_url` alone says where they come from."""
    if head.tokens is None:
        if head.base_url is None:
            problem = "there is neither base_url nor a table [tokens]: add one of them"
            raise ConfigError(file, problem)
        return None
    kinds: dict[object, type[TokenTable]] = {
        kind.__struct_config__.tag: kind for kind in get_args(TokenTable)
    }
    kind = kinds.get(head.tokens.get("kind"))
    if kind is None:
        problem = f"must be one of {', '.join(map(repr, kinds))}"
        raise ConfigError(f"{file}: tokens.kind", problem)
    table = convert(head.tokens, kind, file, "tokens")
    if isinstance(table, SessionEndpointTokens) and table.url is None and head.base_url is None:
        problem = "a session-endpoint needs url, or base_url at the head of the file"
        raise ConfigError(f"{file}: tokens.url", problem)
    return table


def read_surface(table: dict[str, Any], file: str, where: str) -> SurfaceTable:
    """One surface's table, its capabilities checked; `where` is its key path."""
    surface = convert(table, SurfaceTable, file, where)
    try:
        check_capabilities(surface.capabilities)
    except MisuseError as exc:
        raise ConfigError(f"{file}: {where}.capabilities", str(exc)) from exc
    return surface


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
    if isinstance(value, str):
        return Text(value)
    name = env_name(value)
    if name is None:
        raise ValueError('Expected a text, or { env = "NAME" }')
    return Text(env=name)
