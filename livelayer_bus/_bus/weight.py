"""How heavy an event is for the ring's bound by bytes, decided by the first one of each type."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

BASE_WEIGHT = 64  # bytes; a small record with its places in the ring
_SIZED = re.compile(r"\b(bytes|bytearray|memoryview|str)\b")

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
    """Names of the annotated fields of the event that may hold text or bytes themselves."""
    names: dict[str, None] = {}
    for base in type(event).__mro__:
        for name, annotation in vars(base).get("__annotations__", {}).items():
            written = annotation if isinstance(annotation, str) else repr(annotation)
            if _SIZED.search(written) and hasattr(event, name):
                names[name] = None
    return tuple(names)


def _field_weigher(names: tuple[str, ...]) -> Weigher:
    def weigh(event: object) -> int:
        weight = BASE_WEIGHT
        for name in names:
            value = getattr(event, name, None)
            if isinstance(value, _TEXT):
                weight += len(value)
        return weight

    return weigh


_TEXT = (str, bytes, bytearray, memoryview)
