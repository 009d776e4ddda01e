"""What an event weighs for the ring's bound by bytes: declared by its type, or a default."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TypeAlias

BASE_WEIGHT = 256  # bytes; a small record with its short strings and its places in the ring

Weigh: TypeAlias = Callable[..., int]
Weight: TypeAlias = int | Weigh
"""What a type declares as its class attribute `bus_weight`: bytes, or a function of the event that
returns what counts on top of `BASE_WEIGHT`."""

_SIZED = re.compile(r"(str|bytes|bytearray)( *\| *None)?")


def weight_of(event: object) -> tuple[int, Weigh | None]:
    """Return the constant weight of every event of this one's type, and what to add for each.

    Without a declaration, text and bytes count whole, anything with an `nbytes` attribute counts
    that, and a record counts its own fields that are annotated as text or bytes.
    """
    declared: Weight | None = getattr(type(event), "bus_weight", None)
    if isinstance(declared, int):
        return declared, None
    if declared is not None:
        return BASE_WEIGHT, declared
    if isinstance(event, str | bytes | bytearray):
        return BASE_WEIGHT, sys.getsizeof
    if hasattr(event, "nbytes"):
        return BASE_WEIGHT, lambda event: int(event.nbytes)
    fields = _sized_fields(event)
    return BASE_WEIGHT, _adder(fields) if fields else None


def _sized_fields(event: object) -> tuple[str, ...]:
    """Names of the event's fields that are annotated as text or bytes, or None."""
    names: dict[str, None] = {}
    for base in type(event).__mro__:
        for name, annotation in vars(base).get("__annotations__", {}).items():
            if _SIZED.fullmatch(_written(annotation)) and hasattr(event, name):
                names[name] = None
    return tuple(names)


def _written(annotation: object) -> str:
    if isinstance(annotation, str):
        return annotation
    return annotation.__name__ if isinstance(annotation, type) else repr(annotation)


def _adder(names: tuple[str, ...]) -> Weigh:
    def add(event: object) -> int:
        values = [getattr(event, name, None) for name in names]
        return sum(len(value) for value in values if isinstance(value, str | bytes | bytearray))

    return add
