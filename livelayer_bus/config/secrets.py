"""Texts that a file may leave to the environment; no repr shows one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, final

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
