"""How heavy an event is for the ring's bound by bytes, decided by the first one of each type."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from operator import attrgetter

BASE_WEIGHT = 64  # bytes; a small record with its places in the ring
_SIZED = re.compile(r"(str|bytes|bytearray)( *\| *None)?")

Weigher = Callable[[object], int]


def weigher_for(event: object) -> int | Weigher:
    """Return the weight in bytes of every event of this one's type, or what weighs each.

    `bytes`, `bytearray` and `str` count whole; a type with an `nbytes` attribute counts as many
    bytes as it says; a record counts its own `str` and `bytes` fields (not those of records inside
    it: give such a type an `nbytes`). Everything else counts `BASE_WEIGHT`.
    """
    if isinstance(event, bytes | bytearray | str):
        return sys.getsizeof
    if hasattr(event, "nbytes"):
        return _weigh_nbytes
    fields = _sized_fields(event)
    return _field_weigher(fields) if fields else BASE_WEIGHT


def _weigh_nbytes(event: object) -> int:
    return BASE_WEIGHT + int(getattr(event, "nbytes", 0))


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


def _field_weigher(names: tuple[str, ...]) -> Weigher:
    first, *others = (attrgetter(name) for name in names)

    def weigh(event: object) -> int:
        try:
            weight = BASE_WEIGHT + len(first(event) or "")
            for read in others:
                weight += len(read(event) or "")
        except (AttributeError, TypeError):  # an annotation that does not hold for this event
            values = [getattr(event, name, None) for name in names]
            texts = [value for value in values if isinstance(value, str | bytes | bytearray)]
            weight = BASE_WEIGHT + sum(map(len, texts))
        return weight

    return weigh
