"""Typed fields that a conversation fills, and the check of their values."""

from __future__ import annotations

import re
from collections.abc import Callable
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
    return _CHECKS[field.kind](field, value)


def _text(_field: Field, value: Value) -> Value | BadValue:
    return str(value)


def _number(_field: Field, value: Value) -> Value | BadValue:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return BadValue("it must be a number")
    return number if isfinite(number) else BadValue("it must be a number")


def _integer(_field: Field, value: Value) -> Value | BadValue:
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return BadValue("it must be a whole number")
    whole = not isinstance(value, float) or value.is_integer()
    return number if whole else BadValue("it must be a whole number")


def _boolean(_field: Field, value: Value) -> Value | BadValue:
    word = str(value).lower()
    if word in _YES | _NO:
        return word in _YES
    return BadValue("it must be yes or no")


def _date(_field: Field, value: Value) -> Value | BadValue:
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        return BadValue("it must be a date, written YYYY-MM-DD")


def _email(_field: Field, value: Value) -> Value | BadValue:
    text = str(value)
    return text if _EMAIL.fullmatch(text) else BadValue("it must be an e-mail address")


def _phone(_field: Field, value: Value) -> Value | BadValue:
    text = str(value)
    return text if _PHONE.fullmatch(text) else BadValue("it must be a telephone number")


def _choice(field: Field, value: Value) -> Value | BadValue:
    wanted = str(value).casefold()
    for option in field.options:
        if option.casefold() == wanted:
            return option
    return BadValue(f"it must be one of: {', '.join(field.options)}")


_CHECKS: Final[dict[FieldKind, Callable[[Field, Value], Value | BadValue]]] = {
    "text": _text,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "date": _date,
    "email": _email,
    "phone": _phone,
    "choice": _choice,
}
