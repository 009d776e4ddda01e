"""Typed fields that a conversation fills, and the check of their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from math import isfinite
from typing import Final, Literal, TypeAlias

import msgspec

FieldKind: TypeAlias = Literal[
    "text", "number", "integer", "boolean", "date", "email", "phone", "choice"
]
Value: TypeAlias = str | int | float | bool
MAX_TEXT: Final = 1_000  # characters of a value

_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+")
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ()./-]{4,30}")
_YES: Final = frozenset({"true", "yes", "y", "1", "on"})
_NO: Final = frozenset({"false", "no", "n", "0", "off"})


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field: `id` names it on the wire, `name` to people, `description` to the model."""

    id: str
    name: str = ""
    kind: FieldKind = "text"
    description: str = ""
    options: tuple[str, ...] = ()
    """The values of a `choice`."""
    required: bool = True

    @property
    def label(self) -> str:
        """The name that people see."""
        return self.name or self.id.replace("_", " ")


class BadValue(msgspec.Struct, frozen=True):
    """Why a value is rejected, in words for the model; the value is not repeated."""

    problem: str


def check(field: Field, value: object) -> Value | BadValue:
    """Return the value in the form of the field's kind, or why it is rejected."""
    if isinstance(value, str):
        value = value.strip()
    if not isinstance(value, str | int | float) or value == "":
        return BadValue("a value is needed")
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return BadValue(f"at most {MAX_TEXT} characters")
    if field.kind == "choice":
        wanted = str(value).casefold()
        problem = BadValue(f"it must be one of: {', '.join(field.options)}")
        return next((one for one in field.options if one.casefold() == wanted), problem)
    convert, problem_in_words = _KINDS[field.kind]
    try:
        return convert(value)
    except (ValueError, OverflowError):
        return BadValue(problem_in_words)


def _number(value: Value) -> float:
    number = float(value)
    if not isfinite(number):
        raise ValueError
    return number


def _integer(value: Value) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError
    return int(value)


def _boolean(value: Value) -> bool:
    word = str(value).lower()
    if word not in _YES | _NO:
        raise ValueError
    return word in _YES


def _date(value: Value) -> str:
    return date.fromisoformat(str(value)).isoformat()


def _matching(pattern: re.Pattern[str]) -> Callable[[Value], str]:
    def convert(value: Value) -> str:
        if not pattern.fullmatch(str(value)):
            raise ValueError
        return str(value)

    return convert


_KINDS: Final[Mapping[FieldKind, tuple[Callable[[Value], Value], str]]] = {
    "text": (str, ""),
    "number": (_number, "it must be a number"),
    "integer": (_integer, "it must be a whole number"),
    "boolean": (_boolean, "it must be yes or no"),
    "date": (_date, "it must be a date, written YYYY-MM-DD"),
    "email": (_matching(_EMAIL), "it must be an e-mail address"),
    "phone": (_matching(_PHONE), "it must be a telephone number"),
}
"""How a value is converted, and what is wrong where it cannot be."""
